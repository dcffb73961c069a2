//! The manifest: what a plugin is, what it asks for, what its settings may be.
//!
//! `NAME.toml` beside `NAME.wasm`. It only *requests*; what it gets is decided in
//! `permission`. An unknown key is refused with its line, so that a typing error is an
//! answer and not a capability that is silently missing.

use fleet_model::Name;
use fleet_model::plugin::PluginKind;
use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use crate::conformance::Conformance;
use crate::digest::Digest;
use crate::document;
use crate::names::Names;
use crate::refused::{Code, Refused};

/// What a plugin says of itself before any of its code runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What it is called, everywhere.
    pub name: Name,
    /// What it extends.
    pub kind: PluginKind,
    /// Its version, as its author counts.
    pub version: String,
    /// One line for people.
    pub description: Option<String>,
    /// The capabilities it asks for.
    pub requests: Requests,
    /// What one call of it may use.
    pub limits: Limits,
    /// Default settings.
    pub settings: Map<String, Value>,
    /// JSON Schema of the settings.
    pub settings_schema: Option<Value>,
    /// What it tells the conformance kit.
    pub conformance: Conformance,
}

/// The capabilities a manifest asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Requests {
    /// To write to its log through the host.
    pub log: bool,
    /// To read its settings.
    pub config: bool,
    /// To read the time.
    pub clock: bool,
    /// To run programs.
    pub process: ProcessRequest,
    /// The HTTP services it wants to use, by name; `"*"` = whichever the operator grants.
    pub endpoints: Names,
    /// The secrets that may be put into what it makes; `"*"` = whichever a workload names. No plugin
    /// ever sees a value.
    pub secrets: Names,
}

/// What a manifest asks of `process`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessRequest {
    /// The launchers it wants to go through; `"*"` = whichever the operator grants.
    pub launchers: Names,
}

/// What one call of a plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, all of the component's memories together.
    pub memory_bytes: usize,
    /// Processor time of the guest; time spent in the host does not count.
    pub cpu_ms: u64,
    /// From the begin of the call to its answer.
    pub deadline_ms: u64,
    /// Calls at one time; more wait.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu_ms: 1_000,
            deadline_ms: 10_000,
            concurrency: 16,
        }
    }
}

/// The most memory a manifest may ask for: what a slot of the engine's pool holds.
pub(crate) const MAX_MEMORY_BYTES: usize = 256 << 20;

/// Name, least and most of each limit.
const MEMORY: Bounds = Bounds("memory_bytes", 1 << 16, MAX_MEMORY_BYTES as u64);
const CPU: Bounds = Bounds("cpu_ms", 10, 60_000);
const DEADLINE: Bounds = Bounds("deadline_ms", 10, 120_000);
const CONCURRENCY: Bounds = Bounds("concurrency", 1, 128);

struct Bounds(&'static str, u64, u64);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: Name,
    kind: PluginKind,
    version: Spanned<String>,
    description: Option<String>,
    #[serde(default)]
    capabilities: Requests,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    settings: Map<String, Value>,
    #[serde(rename = "settings-schema")]
    settings_schema: Option<Value>,
    #[serde(default)]
    conformance: Conformance,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    memory_bytes: Option<Spanned<u64>>,
    cpu_ms: Option<Spanned<u64>>,
    deadline_ms: Option<Spanned<u64>>,
    concurrency: Option<Spanned<u64>>,
}

/// A manifest with its text, which is what is kept of it: what was written, in one order and without
/// comments. So the same manifest is known by one digest, however it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ManifestText {
    pub(crate) manifest: Manifest,
    pub(crate) text: String,
    /// Of the text.
    pub(crate) digest: Digest,
}

impl ManifestText {
    /// Reads a manifest; `file` is its name for error messages.
    ///
    /// # Errors
    /// `bad-manifest`.
    pub(crate) fn parse(file: &str, text: String) -> Result<Self, Refused> {
        let manifest =
            Manifest::parse(file, &text).map_err(|message| Code::BadManifest.because(message))?;
        let plain = plain(&text).filter(|plain| {
            Manifest::parse(file, plain).is_ok_and(|says_the_same| says_the_same == manifest)
        });
        let text = plain.unwrap_or(text);
        Ok(Self {
            manifest,
            digest: Digest::of(text.as_bytes()),
            text,
        })
    }
}

/// The same document without comments, its keys in the order of their names, written in one way.
fn plain(text: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(text).ok()?;
    toml::to_string(&sorted(toml::Value::Table(table))).ok()
}

fn sorted(value: toml::Value) -> toml::Value {
    match value {
        toml::Value::Table(table) => {
            let mut entries: Vec<(String, toml::Value)> = table.into_iter().collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            let entries = entries.into_iter().map(|(key, value)| (key, sorted(value)));
            toml::Value::Table(entries.collect())
        }
        toml::Value::Array(values) => values.into_iter().map(sorted).collect::<Vec<_>>().into(),
        plain => plain,
    }
}

impl Manifest {
    /// Reads a manifest; `file` is its name for error messages.
    ///
    /// # Errors
    /// One line that names the file, the line and what was expected.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let document: Document = document::parse(file, text)?;
        let version = document.version.as_ref();
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
        if version.is_empty() || version.len() > 64 || !version.chars().all(good) {
            let message =
                "`version` must be 1 to 64 of A-Z, a-z, 0-9, `.`, `-` and `+`, like \"0.1.0\"";
            return Err(document::at(
                file,
                text,
                document.version.span().start,
                message,
            ));
        }
        let default = Limits::default();
        let table = document.limits;
        let bounded = |value: Option<Spanned<u64>>,
                       Bounds(name, least, most): Bounds,
                       default: u64| {
            let Some(value) = value else {
                return Ok(default);
            };
            let span = value.span();
            match value.into_inner() {
                value if (least..=most).contains(&value) => Ok(value),
                value => {
                    let message =
                        format!("`{name} = {value}` is out of bounds: expected {least} to {most}");
                    Err(document::at(file, text, span.start, &message))
                }
            }
        };
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let limits = Limits {
            memory_bytes: size(bounded(
                table.memory_bytes,
                MEMORY,
                default.memory_bytes as u64,
            )?),
            cpu_ms: bounded(table.cpu_ms, CPU, default.cpu_ms)?,
            deadline_ms: bounded(table.deadline_ms, DEADLINE, default.deadline_ms)?,
            concurrency: size(bounded(
                table.concurrency,
                CONCURRENCY,
                default.concurrency as u64,
            )?),
        };
        Ok(Self {
            name: document.name,
            kind: document.kind,
            version: document.version.into_inner(),
            description: document.description,
            requests: document.capabilities,
            limits,
            settings: document.settings,
            settings_schema: document.settings_schema,
            conformance: document.conformance,
        })
    }

    /// The least that a manifest must say, for the reason of a component that has none.
    pub(crate) fn example(name: &str) -> String {
        format!(
            "name = \"{name}\", kind = \"backend\", version = \"0.1.0\" and a [capabilities] table"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
name = "native"
kind = "backend"
version = "0.1.0"
description = "Programs as processes of this machine."

[capabilities]
log = true
clock = true
process = { launchers = ["dev"] }
secrets = ["*"]

[limits]
memory_bytes = 1048576
concurrency = 4

[settings]
depth = 3

[settings-schema]
type = "object"

[conformance.workload.short]
command = ["true"]
"#;

    #[test]
    fn a_full_manifest_is_read() {
        let manifest = Manifest::parse("native.toml", FULL).unwrap();
        assert_eq!(manifest.name.as_str(), "native");
        assert!(manifest.requests.log && !manifest.requests.config);
        assert_eq!(manifest.requests.process.launchers.named().count(), 1);
        assert!(manifest.requests.secrets.has_any());
        assert_eq!(manifest.limits.memory_bytes, 1 << 20);
        assert_eq!(manifest.limits.cpu_ms, Limits::default().cpu_ms);
        assert_eq!(manifest.settings["depth"], 3);
        assert_eq!(manifest.settings_schema.unwrap()["type"], "object");
        assert_eq!(manifest.conformance.workload.len(), 1);
    }

    #[test]
    fn a_manifest_has_one_digest_however_it_is_written() {
        let known = ManifestText::parse("native.toml", FULL.to_owned()).unwrap();
        let again = ManifestText::parse("native.toml", known.text.clone()).unwrap();
        assert_eq!((&again.text, again.digest), (&known.text, known.digest));
        for (from, to) in [
            ("depth = 3", "depth = 3 # deep"),
            ("depth = 3", "# deep\n\n  depth  =  0x3"),
            ("log = true\nclock = true", "clock = true\nlog = true"),
            ("[settings]\ndepth = 3\n", ""),
            (
                "process = { launchers = [\"dev\"] }",
                "process.launchers = [\n'dev',\n]",
            ),
        ] {
            let mut text = FULL.replace(from, to);
            assert_ne!(text, FULL, "{from}");
            if to.is_empty() {
                text.push_str(from);
            }
            let written = ManifestText::parse("native.toml", text).unwrap();
            assert_eq!(written.digest, known.digest, "{to}");
            assert_eq!(written.manifest, known.manifest);
        }
        let other = FULL.replace("depth = 3", "depth = 4");
        let other = ManifestText::parse("native.toml", other).unwrap();
        assert_ne!(other.digest, known.digest);
    }

    #[test]
    fn each_mistake_names_its_line_and_what_was_expected() {
        let head = "name = \"a\"\nkind = \"backend\"\nversion = \"1\"\n";
        for (text, want) in [
            (
                "kind = \"backend\"\nversion = \"1\"".to_owned(),
                "missing field `name`",
            ),
            (
                "name = \"A b\"\nkind = \"backend\"\nversion = \"1\"".to_owned(),
                "m.toml:1: `A b` is not a name",
            ),
            (
                "name = \"a\"\nkind = \"item\"\nversion = \"1\"".to_owned(),
                "m.toml:2: unknown variant `item`, expected",
            ),
            (
                "name = \"a\"\nkind = \"backend\"\nversion = \"\"".to_owned(),
                "m.toml:3: `version` must be",
            ),
            (
                format!("{head}[capabilities]\nlogs = true"),
                "m.toml:5: unknown field `logs`, expected one of `log`",
            ),
            (
                format!("{head}[capabilities]\nsecrets = [\"A b\"]"),
                "m.toml:5: `A b` is not a name",
            ),
            (
                format!("{head}[limits]\ncpu_ms = 1"),
                "m.toml:5: `cpu_ms = 1` is out of bounds: expected 10 to 60000",
            ),
            (
                format!("{head}[limits]\nmemory_bytes = 1099511627776"),
                "expected 65536 to 268435456",
            ),
            (format!("{head}[limit]"), "m.toml:4: unknown field `limit`"),
            (
                format!("{head}[conformance.workload.lnog]"),
                "m.toml:4: unknown variant `lnog`",
            ),
            (
                format!("{head}[capabilities]\nprocess = {{ launcher = \"x\" }}"),
                "expected `launchers`",
            ),
        ] {
            let error = Manifest::parse("m.toml", &text).unwrap_err();
            assert!(error.contains(want), "{error}\nwanted {want}");
        }
    }
}
