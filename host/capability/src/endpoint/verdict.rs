//! Verdicts: a request in the host's words, or why there is none.

use fleet_model::{Error, Name};
use serde_json::Value;

use super::facts::Arguments;
use super::policy::{Effect, Rule};
use super::request::encode_query;

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `get`.
    Get,
    /// `send`.
    Send,
    /// `open`.
    Open,
}

impl Mode {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Send => "send",
            Self::Open => "open",
        }
    }

    /// How a rule is asked.
    pub(crate) fn of(rule: &Rule) -> Self {
        match (rule.stream(), rule.effect) {
            (Some(_), _) => Self::Open,
            (None, Effect::Read) => Self::Get,
            (None, Effect::Write) => Self::Send,
        }
    }
}

/// A request that may be sent.
#[derive(Debug)]
pub struct Allowed<'p> {
    pub(crate) rule: &'p Rule,
    /// What is sent.
    pub outgoing: Outgoing,
    pub(crate) arguments: Arguments,
    /// The ids in it, each with its sort.
    pub(crate) ids: Vec<(String, String)>,
    /// The id of what the first of them lives in.
    pub(crate) parent: Option<String>,
}

impl Allowed<'_> {
    /// The rule that allows it.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule.name
    }
}

/// A request in the host's own words.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The method.
    pub method: String,
    /// The path, encoded.
    pub path: String,
    /// Keys and values of the query, encoded when it is sent.
    pub query: Vec<(String, String)>,
    /// Headers, the host's own not among them.
    pub headers: Vec<(String, String)>,
    /// The body. Placeholders of secrets still stand in it.
    pub body: Option<Value>,
}

impl Outgoing {
    /// Path and query as they are sent.
    #[must_use]
    pub fn target(&self) -> String {
        let pairs: Vec<String> = self
            .query
            .iter()
            .map(|(key, value)| format!("{}={}", encode_query(key), encode_query(value)))
            .collect();
        if pairs.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, pairs.join("&"))
        }
    }
}

/// Of what sort a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No rule is for the request.
    NoRule,
    /// The rule does not let it through.
    Rule,
    /// It names what this plugin does not own: never made through this host, or released.
    NotOwned,
    /// The answer shows something that this host did not make.
    NotAdoptable,
}

/// A request that may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Of what sort the refusal is.
    pub why: Why,
    /// The rule that refuses it; none where no rule is for it.
    pub rule: Option<String>,
    /// What of it: `path`, `path.NAME`, `query.KEY`, `header.NAME`, `body/POINTER`, `op`, `call`.
    pub at: String,
    /// Why.
    pub reason: String,
    /// What would be allowed.
    pub allowed: String,
}

impl Refused {
    /// The error's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.why {
            Why::NoRule => "no-rule",
            Why::Rule | Why::NotOwned => "refused-by-rule",
            Why::NotAdoptable => "not-adoptable",
        }
    }

    /// As an error for the plugin.
    #[must_use]
    pub fn error(&self, plugin: &Name, endpoint: &Name) -> Error {
        let Self {
            at,
            reason,
            allowed,
            ..
        } = self;
        let message = match &self.rule {
            Some(rule) => format!(
                "`{plugin}` may not ask that of the endpoint `{endpoint}`: the rule `{rule}` of its policy refuses {at}: {reason}; allowed: {allowed}"
            ),
            None => format!(
                "`{plugin}` may not ask that of the endpoint `{endpoint}`: no rule of its policy is for it ({at}: {reason}); allowed by: {allowed}"
            ),
        };
        let error = Error::denied(self.code(), message)
            .with("plugin", plugin)
            .with("endpoint", endpoint)
            .with("at", at)
            .with("allowed", allowed);
        let error = match &self.rule {
            Some(rule) => error.with("rule", rule),
            None => error,
        };
        match self.why {
            Why::NotOwned => error.with("why", "not-owned"),
            Why::NoRule | Why::Rule | Why::NotAdoptable => error,
        }
    }
}
