//! JSON Schemas that plugins bring: settings and workload configs.
//!
//! A schema is a stranger's text. Nothing it refers to is fetched, and its patterns run on an
//! engine whose time is linear, so that a schema cannot hold a thread.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
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
            format!("{place}: {}", mistake(&error))
        })
        .collect();
    if mistakes.is_empty() {
        Ok(())
    } else {
        Err(mistakes.join("; "))
    }
}

/// A mistake in words, with all that would be allowed where that is a list.
fn mistake(error: &ValidationError<'_>) -> String {
    let ValidationErrorKind::Enum { options } = error.kind() else {
        return text(error.to_string(), 300);
    };
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let options: Vec<String> = options.iter().map(ToString::to_string).collect();
    let value = text(error.instance().to_string(), 100);
    let words = format!("{value} is not one of {}", options.join(", "));
    text(words, 1_000)
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
    fn a_word_that_is_not_on_the_list_is_told_the_list() {
        let words: Vec<String> = (0..19).map(|number| format!("bug-{number}")).collect();
        let validator = compile(&json!({"properties": {"bug": {"enum": words}}})).unwrap();
        let error = check(&validator, &json!({"bug": "x"})).unwrap_err();
        assert!(
            error.starts_with("/bug: \"x\" is not one of \"bug-0\", "),
            "{error}"
        );
        assert!(error.ends_with("\"bug-18\""), "{error}");
    }

    #[test]
    fn a_schema_that_is_none_or_reaches_out_is_refused() {
        assert!(compile(&json!({"type": "strin"})).is_err());
        assert!(compile(&json!({"$ref": "http://127.0.0.1:1/schema"})).is_err());
        assert!(compile(&json!({"$ref": "file:///etc/hostname"})).is_err());
    }
}
