//! A workload's `[config]`.

use serde::Deserialize;

/// The JSON Schema the host checks it against. [`Config`] reads what it lets through; lengths and
/// patterns are the schema's alone.
pub(crate) const SCHEMA: &str = include_str!("../config.schema.json");

/// What a workload may say of its container. The schema describes each key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) pull: Pull,
    #[serde(default)]
    pub(crate) entrypoint: Vec<String>,
    #[serde(default)]
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) workdir: Option<String>,
    #[serde(default = "workspace")]
    pub(crate) workspace: String,
    #[serde(default)]
    pub(crate) network: Network,
    #[serde(default)]
    pub(crate) read_only: bool,
    #[serde(default)]
    pub(crate) tmpfs: Vec<Tmpfs>,
    #[serde(default)]
    pub(crate) shm_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) stop_signal: Option<String>,
    #[serde(default = "init")]
    pub(crate) init: bool,
    #[serde(default)]
    pub(crate) terminal: bool,
}

/// What is done where the engine does not have the image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pull {
    #[default]
    Missing,
    Never,
}

/// The network a container is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Network {
    #[default]
    Bridge,
    None,
}

impl Network {
    /// The engine's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::None => "none",
        }
    }
}

/// A folder in memory.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tmpfs {
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
}

fn workspace() -> String {
    "/workspace".to_owned()
}

fn init() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_schema_and_the_type_take_and_refuse_the_same_keys() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let schema = jsonschema::draft202012::new(&schema).unwrap();
        for (document, good) in [
            (json!({"image": "busybox"}), true),
            (
                json!({
                    "image": "busybox:1", "pull": "never", "entrypoint": ["/bin/sh", "-c"], "user": "1000:1000",
                    "workdir": "/srv", "workspace": "", "network": "none", "read_only": true,
                    "tmpfs": [{"path": "/tmp", "size_bytes": 65536}], "shm_bytes": 65536,
                    "stop_signal": "INT", "init": false, "terminal": true,
                }),
                true,
            ),
            (json!({}), false),
            (json!({"image": 1}), false),
            (json!({"image": "a", "pull": "always"}), false),
            (json!({"image": "a", "network": "host"}), false),
            (json!({"image": "a", "privileged": true}), false),
            (json!({"image": "a", "entrypoint": "sh"}), false),
            (json!({"image": "a", "tmpfs": [{"path": "/tmp"}]}), false),
            (
                json!({"image": "a", "tmpfs": [{"path": "/t", "size_bytes": 4096, "mode": 1}]}),
                false,
            ),
            (json!({"image": "a", "shm_bytes": -1}), false),
            (json!({"image": "a", "init": "yes"}), false),
        ] {
            assert_eq!(schema.is_valid(&document), good, "{document}");
            assert_eq!(
                serde_json::from_value::<Config>(document.clone()).is_ok(),
                good,
                "{document}"
            );
        }
        for document in [
            json!({"image": ""}),
            json!({"image": "a", "workdir": "srv"}),
            json!({"image": "a", "workspace": "/"}),
            json!({"image": "a", "entrypoint": []}),
            json!({"image": "a", "stop_signal": "sigint"}),
        ] {
            assert!(!schema.is_valid(&document), "{document}");
        }
    }

    #[test]
    fn what_is_not_said_is_as_the_schema_tells() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let default = |key: &str| schema["properties"][key]["default"].clone();
        let config: Config = serde_json::from_str(r#"{"image":"a"}"#).unwrap();
        assert_eq!(default("workspace"), config.workspace.as_str());
        assert_eq!(default("init"), config.init);
        assert_eq!(default("read_only"), config.read_only);
        assert_eq!(default("terminal"), config.terminal);
        assert_eq!(default("network"), config.network.word());
        assert_eq!(default("pull"), "missing");
        assert_eq!(config.pull, Pull::Missing);
    }
}
