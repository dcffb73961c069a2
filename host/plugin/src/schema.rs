//! JSON Schemas that plugins bring: settings and workload configs.
//!
//! A schema is a stranger's text. Nothing it refers to is fetched, and its patterns run on an
//! engine whose time is linear, so that a schema cannot hold a thread.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::convert::text;

/// A schema that can be used.
///
/// # Errors
/// Why it cannot, for people.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| text(error.to_string(), 500))
}

/// Whether a value fits.
///
/// # Errors
/// Every mistake with its place: `/depth: "x" is not of type "integer"`.
pub(crate) fn check(validator: &Validator, value: &Value) -> Result<(), String> {
    let mistakes: Vec<String> = validator
        .iter_errors(value)
        .take(5)
        .map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/" } else { &place };
            format!("{place}: {}", text(error.to_string(), 300))
        })
        .collect();
    if mistakes.is_empty() {
        Ok(())
    } else {
        Err(mistakes.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mistakes_have_their_place() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": false});
        let validator = compile(&schema).unwrap();
        check(&validator, &json!({"a": 1})).unwrap();
        let error = check(&validator, &json!({"a": "x", "b": 1})).unwrap_err();
        assert!(error.contains("/a: ") && error.contains("'b'"), "{error}");
    }

    #[test]
    fn a_schema_that_is_none_or_reaches_out_is_refused() {
        assert!(compile(&json!({"type": "strin"})).is_err());
        assert!(compile(&json!({"$ref": "http://127.0.0.1:1/schema"})).is_err());
        assert!(compile(&json!({"$ref": "file:///etc/hostname"})).is_err());
    }
}
