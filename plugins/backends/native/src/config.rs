//! A workload's `[config]`.

use serde::Deserialize;

/// The JSON Schema the host checks it against. [`Config`] takes and refuses the same documents.
pub(crate) const SCHEMA: &str = include_str!("../config.schema.json");

/// What a workload may say of how it is run.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The launcher it goes through.
    pub(crate) launcher: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            launcher: "dev".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_schema_and_the_type_take_and_refuse_the_same_documents() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        assert_eq!(
            schema["properties"]["launcher"]["default"],
            Config::default().launcher
        );
        let schema = jsonschema::draft202012::new(&schema).unwrap();
        for (document, good) in [
            (json!({}), true),
            (json!({"launcher": "python"}), true),
            (json!({"launcher": 1}), false),
            (json!({"launcher": null}), false),
            (json!({"launchers": "dev"}), false),
        ] {
            assert_eq!(schema.is_valid(&document), good, "{document}");
            assert_eq!(
                serde_json::from_value::<Config>(document.clone()).is_ok(),
                good,
                "{document}"
            );
        }
    }
}
