//! A policy file as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) schema: Spanned<u32>,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) errors: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) limits: LimitsTable,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, Spanned<TextTable>>,
    #[serde(default)]
    pub(crate) sorts: BTreeMap<String, Spanned<SortTable>>,
    #[serde(default)]
    pub(crate) framings: BTreeMap<String, Spanned<FramingTable>>,
    #[serde(default)]
    pub(crate) schemas: BTreeMap<String, Spanned<SchemaText>>,
    #[serde(default)]
    pub(crate) rules: Vec<RuleTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsTable {
    pub(crate) timeout_ms: Option<Spanned<u64>>,
    pub(crate) request_bytes: Option<Spanned<u64>>,
    pub(crate) response_bytes: Option<Spanned<u64>>,
    pub(crate) depth: Option<Spanned<u64>>,
    pub(crate) concurrent: Option<Spanned<u64>>,
    pub(crate) streams: Option<Spanned<u64>>,
    pub(crate) kept: Option<Spanned<u64>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TextTable {
    pub(crate) pattern: Option<String>,
    pub(crate) not: Option<String>,
    pub(crate) one_of: Option<Vec<String>>,
    pub(crate) owned: Option<String>,
    pub(crate) force: Option<String>,
    pub(crate) force_json: Option<Value>,
    pub(crate) required: bool,
    pub(crate) send: Option<bool>,
    pub(crate) optional_facts: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SortTable {
    pub(crate) pattern: String,
    pub(crate) parent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FramingTable {
    pub(crate) header_bytes: usize,
    pub(crate) length_at: usize,
    pub(crate) length_bytes: usize,
    #[serde(default)]
    pub(crate) order: OrderWord,
    #[serde(default)]
    pub(crate) length_includes_header: bool,
    pub(crate) stream_at: Option<usize>,
    #[serde(default)]
    pub(crate) streams: BTreeMap<String, StreamWord>,
    #[serde(default)]
    pub(crate) input: InputWord,
    pub(crate) input_stream: Option<u8>,
    pub(crate) frame_bytes: Option<usize>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OrderWord {
    #[default]
    Big,
    Little,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StreamWord {
    Stdout,
    Stderr,
    Skip,
    End,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InputWord {
    #[default]
    Raw,
    Framed,
}

/// A schema as a table, or as JSON in a text.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct SchemaText(pub(crate) Value);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleTable {
    pub(crate) name: Spanned<String>,
    /// For who reads the file.
    #[serde(rename = "description")]
    pub(crate) _description: Option<String>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) effect: EffectWord,
    pub(crate) verbs: Option<Vec<fleet_model::Verb>>,
    #[serde(default)]
    pub(crate) once: bool,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, TextTable>,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, TextTable>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, TextTable>,
    pub(crate) body: Option<BodyTable>,
    pub(crate) response: Option<ResponseTable>,
    pub(crate) learn: Option<LearnTable>,
    pub(crate) adopt: Option<AdoptTable>,
    pub(crate) releases: Option<String>,
    #[serde(default)]
    pub(crate) action: ActionWord,
    pub(crate) stream: Option<StreamTable>,
    pub(crate) job: Option<JobTable>,
    pub(crate) signal: Option<SignalTable>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) request_bytes: Option<u64>,
    pub(crate) response_bytes: Option<u64>,
    pub(crate) depth: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EffectWord {
    Read,
    Write,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ActionWord {
    #[default]
    Send,
    Forget,
    Signal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BodyTable {
    pub(crate) schema: Option<SchemaText>,
    #[serde(default)]
    pub(crate) optional: bool,
    #[serde(default)]
    pub(crate) force: Vec<ForceTable>,
    #[serde(default)]
    pub(crate) secrets: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForceTable {
    pub(crate) at: String,
    pub(crate) value: Value,
    pub(crate) otherwise: Option<Value>,
    pub(crate) each: Option<EachWord>,
    pub(crate) key: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EachWord {
    Ports,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ResponseTable {
    pub(crate) status: Option<Vec<u16>>,
    pub(crate) body: Option<BodyWord>,
    pub(crate) keep: Option<Vec<String>>,
    pub(crate) drop: Vec<String>,
    pub(crate) rows: Option<RowsTable>,
    pub(crate) errors: Option<Vec<String>>,
    pub(crate) headers: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BodyWord {
    Json,
    Text,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowsTable {
    pub(crate) at: String,
    pub(crate) id: String,
    pub(crate) owned: String,
    #[serde(default)]
    pub(crate) or_when: Vec<EqualsTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EqualsTable {
    pub(crate) at: String,
    pub(crate) equals: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LearnTable {
    pub(crate) sort: String,
    pub(crate) id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdoptTable {
    pub(crate) sort: String,
    pub(crate) id: String,
    pub(crate) when: Vec<EqualsTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamTable {
    pub(crate) direction: DirectionWord,
    pub(crate) upgrade: Option<String>,
    #[serde(default)]
    pub(crate) framing: Vec<String>,
    pub(crate) output: OutputWord,
    pub(crate) times: Option<TimesWord>,
    pub(crate) resume: Option<ResumeTable>,
    #[serde(default)]
    pub(crate) keep: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DirectionWord {
    Out,
    Both,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OutputWord {
    Lines,
    Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TimesWord {
    Rfc3339,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResumeTable {
    pub(crate) query: String,
    pub(crate) format: FormatWord,
    #[serde(default)]
    pub(crate) partial: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FormatWord {
    Unix,
    Rfc3339,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobTable {
    pub(crate) lines: Option<usize>,
    pub(crate) by: Option<String>,
    pub(crate) line_bytes: Option<usize>,
    pub(crate) longest_ms: Option<u64>,
    pub(crate) failed: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalTable {
    pub(crate) rule: String,
    pub(crate) pid: String,
    pub(crate) running: Option<String>,
    pub(crate) holds: String,
    pub(crate) signal: String,
    #[serde(default)]
    pub(crate) group: bool,
}
