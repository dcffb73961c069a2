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
    /// What it reads.
    pub(crate) stdin: Stdin,
}

/// What a program reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stdin {
    /// Commands that are sent to it.
    #[default]
    Pipe,
    /// Nothing.
    Null,
}

impl Stdin {
    /// The word the import `process` knows it by.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Null => "null",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            launcher: "dev".to_owned(),
            stdin: Stdin::default(),
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
        assert_eq!(
            schema["properties"]["stdin"]["default"],
            Config::default().stdin.word()
        );
        let schema = jsonschema::draft202012::new(&schema).unwrap();
        for (document, good) in [
            (json!({}), true),
            (json!({"launcher": "python"}), true),
            (json!({"stdin": "pipe"}), true),
            (json!({"launcher": "python", "stdin": "null"}), true),
            (json!({"stdin": "file"}), false),
            (json!({"stdin": null}), false),
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
