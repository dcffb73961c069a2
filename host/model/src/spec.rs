//! What a user asks for: the workload file, the API's body, the flags of `workload run`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::name::{Label, Name};
use crate::quantity::{Cpu, Size, Span};

/// What a user asks for. The host owns these keys; all that is a backend's own stands in `config`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkloadSpec {
    /// Unique among the workloads that exist; made up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The backend that runs it.
    #[serde(default = "default_backend")]
    pub backend: Name,
    /// Program and arguments. `$(PORT_NAME)` becomes the port, `$$(` a literal `$(`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Environment: text, expanded as in `command` and public, or `{"secret": NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    /// Named ports: the port inside the workload, 0 for the one the node picks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<Name, u16>,
    /// For people and selectors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Label, Label>,
    /// Whether it is started again when it ends by itself.
    #[serde(default, skip_serializing_if = "Restart::is_default")]
    pub restart: Restart,
    /// How long it may exist, from when it was accepted; then it is removed. Absent = for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "1h 30m"))]
    pub ttl: Option<Span>,
    /// What it may use.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Files that are put into its workspace before each start, by their path in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, FileForm>))]
    pub files: BTreeMap<String, FileSpec>,
    /// The backend's own settings, checked against its schema.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub config: Map<String, Value>,
}

impl WorkloadSpec {
    /// The secrets it names, in its environment and its files.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&Name> {
        let env = self.env.values().filter_map(EnvValue::secret);
        let files = self.files.values().filter_map(|file| match &file.content {
            FileContent::Secret(name) => Some(name),
            FileContent::Text(_) | FileContent::Base64(_) => None,
        });
        env.chain(files).collect()
    }
}

fn default_backend() -> Name {
    #[expect(clippy::expect_used, reason = "a constant that a test reads")]
    "native".parse().expect("`native` is a name")
}

/// What is done when a workload's program ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Restart {
    /// Nothing: it has ended.
    #[default]
    Never,
    /// It is started again unless its exit code was 0.
    OnFailure,
    /// It is started again.
    Always,
}

impl Restart {
    /// All, in the order they are named to people.
    pub const ALL: [Self; 3] = [Self::Never, Self::OnFailure, Self::Always];

    /// The word as it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a workload may use. What is absent is not limited, but for the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limits {
    /// Processors at once: 0.5 is half of one. What is over waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>, example = 0.5))]
    pub cpu: Option<Cpu>,
    /// Memory of all its processes; what needs more is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "64MiB"))]
    pub memory: Option<Size>,
    /// Processes and threads at once; more cannot be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Bytes on disk in its workspace; a workload over it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "1GiB"))]
    pub disk: Option<Size>,
    /// Bytes of output that are kept, the oldest going first; 64MiB where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "64MiB"))]
    pub log: Option<Size>,
}

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names of the limits that only the kernel can hold a workload to, as far as they are set.
    #[must_use]
    pub fn kernel(&self) -> Vec<&'static str> {
        [
            ("cpu", self.cpu.is_some()),
            ("memory", self.memory.is_some()),
            ("processes", self.processes.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
        .collect()
    }
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", serde(untagged))]
pub enum EnvValue {
    /// Text: public.
    Text(String),
    /// The value of a secret; only its name is kept and shown.
    Secret {
        /// The secret's name.
        secret: Name,
    },
}

impl EnvValue {
    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Secret { .. } => None,
        }
    }

    /// The secret's name, if it is one.
    #[must_use]
    pub fn secret(&self) -> Option<&Name> {
        match self {
            Self::Text(_) => None,
            Self::Secret { secret } => Some(secret),
        }
    }
}

impl From<String> for EnvValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Serialize for EnvValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Secret { secret } => serializer.collect_map([("secret", secret)]),
        }
    }
}

impl<'de> Deserialize<'de> for EnvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = EnvValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes, or { secret = \"NAME\" }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EnvValue, E> {
                Ok(EnvValue::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EnvValue, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Reference {
                    secret: Name,
                }
                let of_map = serde::de::value::MapAccessDeserializer::new(map);
                Reference::deserialize(of_map)
                    .map(|Reference { secret }| EnvValue::Secret { secret })
            }
        }
        deserializer.deserialize_any(Value)
    }
}

/// A file that is put into a workload's workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// What is in it.
    pub content: FileContent,
    /// Its permission bits; absent = 0644, and 0600 for a secret.
    pub mode: Option<FileMode>,
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// This text.
    Text(String),
    /// These bytes, in base64 (RFC 4648, section 4).
    Base64(String),
    /// The value of a secret.
    Secret(Name),
}

/// Permission bits of a file: three octal digits, with or without a leading zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl std::str::FromStr for FileMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text
            .strip_prefix('0')
            .filter(|rest| rest.len() == 3)
            .unwrap_or(text);
        u32::from_str_radix(digits, 8)
            .ok()
            .filter(|bits| digits.len() == 3 && *bits <= 0o777)
            .map(Self)
            .ok_or_else(|| {
                let shown: String = text.chars().take(20).collect();
                format!("`{shown}` is not a file mode: write three octal digits, as in \"644\" or \"0600\"")
            })
    }
}

/// As it is written: text alone, or a table.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct FileTable {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
}

/// Text alone, or a table with exactly one of `text`, `base64` and `secret`, and `mode`.
#[cfg(feature = "openapi")]
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = FileSpec)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "describes the JSON form, which is read and written by hand"
)]
enum FileForm {
    Text(String),
    Table(FileTable),
}

impl Serialize for FileSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let (FileContent::Text(text), None) = (&self.content, self.mode) {
            return serializer.serialize_str(text);
        }
        let mut table = FileTable {
            text: None,
            base64: None,
            secret: None,
            mode: self.mode.map(|mode| format!("{:04o}", mode.bits())),
        };
        match &self.content {
            FileContent::Text(text) => table.text = Some(text.clone()),
            FileContent::Base64(text) => table.base64 = Some(text.clone()),
            FileContent::Secret(name) => table.secret = Some(name.clone()),
        }
        table.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FileSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct File;
        impl<'de> Visitor<'de> for File {
            type Value = FileSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a text in quotes, or a table with one of `text`, `base64` and `secret`",
                )
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<FileSpec, E> {
                Ok(FileSpec {
                    content: FileContent::Text(text.to_owned()),
                    mode: None,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FileSpec, A::Error> {
                let of_map = serde::de::value::MapAccessDeserializer::new(map);
                let table = FileTable::deserialize(of_map)?;
                let content = match (table.text, table.base64, table.secret) {
                    (Some(text), None, None) => FileContent::Text(text),
                    (None, Some(text), None) => FileContent::Base64(text),
                    (None, None, Some(name)) => FileContent::Secret(name),
                    _ => {
                        return Err(serde::de::Error::custom(
                            "a file has exactly one of `text`, `base64` and `secret`",
                        ));
                    }
                };
                let mode = table
                    .mode
                    .map(|mode| mode.parse().map_err(serde::de::Error::custom))
                    .transpose()?;
                Ok(FileSpec { content, mode })
            }
        }
        deserializer.deserialize_any(File)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_has_defaults_and_refuses_unknown_keys() {
        let spec: WorkloadSpec = serde_json::from_str(r#"{"command":["true"]}"#).unwrap();
        assert_eq!(spec.backend.as_str(), "native");
        assert_eq!(
            serde_json::to_value(&spec).unwrap(),
            json!({"backend": "native", "command": ["true"]})
        );
        let error = serde_json::from_str::<WorkloadSpec>(r#"{"comand":["true"]}"#).unwrap_err();
        assert!(error.to_string().contains("comand"), "{error}");
    }

    #[test]
    fn every_key_reads_back_as_it_is_written() {
        let text = json!({
            "name": "a", "backend": "mock", "command": ["x"],
            "env": {"A": "1", "B": {"secret": "token"}},
            "ports": {"http": 0}, "labels": {"app": "a"},
            "restart": "on-failure", "ttl": "1h 30m",
            "limits": {"cpu": 0.5, "memory": "64MiB", "processes": 9, "disk": "1GiB", "log": "8MiB"},
            "files": {
                "a.toml": "x = 1",
                "b": {"base64": "AA=="},
                "c": {"secret": "key", "mode": "0400"},
                "d": {"text": "t", "mode": "0755"}
            },
            "config": {"k": 1}
        });
        let spec: WorkloadSpec = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(serde_json::to_value(&spec).unwrap(), text);
        let names: Vec<&str> = spec.secrets().into_iter().map(Name::as_str).collect();
        assert_eq!(names, ["key", "token"]);
        assert_eq!(spec.limits.kernel(), ["cpu", "memory", "processes"]);
    }

    #[test]
    fn what_does_not_fit_says_what_would() {
        for (spec, want) in [
            (json!({"env": {"A": 1}}), "{ secret = \"NAME\" }"),
            (json!({"env": {"A": {"secrets": "x"}}}), "secrets"),
            (json!({"restart": "sometimes"}), "on-failure"),
            (json!({"ttl": 5}), "90s"),
            (json!({"limits": {"memory": "64"}}), "64MiB"),
            (json!({"limits": {"cpu": 0}}), "0.5"),
            (json!({"limits": {"gpu": 1}}), "gpu"),
            (json!({"files": {"a": {}}}), "exactly one of"),
            (
                json!({"files": {"a": {"text": "", "secret": "x"}}}),
                "exactly one of",
            ),
            (
                json!({"files": {"a": {"text": "", "mode": "999"}}}),
                "octal",
            ),
            (json!({"files": {"a": 3}}), "`text`"),
        ] {
            let error = serde_json::from_value::<WorkloadSpec>(spec.clone()).unwrap_err();
            assert!(error.to_string().contains(want), "{spec}: {error}");
        }
    }
}
