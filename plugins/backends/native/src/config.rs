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
