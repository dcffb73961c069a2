//! A policy: what may be asked of a service, rule by rule.
//!
//! It is read from a file and checked as a whole before anything is asked: whatever a rule names is
//! there, every schema is closed, every fact is one the host has when the rule is used. What passes
//! is plain data that [`decide`](super::decide()) looks at.

mod about;
mod check;
pub(crate) mod closed;
pub(crate) mod file;
pub(crate) mod path;
mod rule;

use std::collections::BTreeMap;

use fleet_model::Verb;
use regex::Regex;
use serde_json::Value;

use super::facts::Fact;
use super::framing::Framing;
use super::pointer::Pointer;
use super::template::{Template, Tree};
use path::PathTemplate;

/// What may be asked of a service.
#[derive(Debug)]
pub struct Policy {
    description: String,
    pub(crate) at_once: AtOnce,
    pub(crate) sorts: BTreeMap<String, Sort>,
    pub(crate) rules: Vec<Rule>,
}

impl Policy {
    /// Reads and checks a policy; `file` is its name for messages.
    ///
    /// # Errors
    /// One line: file, line, and what is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        check::read(file, text)
    }

    /// What it is for, in one line.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The names of its rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    pub(crate) fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}

/// How much may be under way at one time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtOnce {
    pub(crate) requests: usize,
    pub(crate) streams: usize,
    /// Streams that the host holds, each with some megabytes of what came.
    pub(crate) kept: usize,
}

/// A sort of thing that can be owned.
#[derive(Debug)]
pub(crate) struct Sort {
    pub(crate) pattern: Regex,
    pub(crate) parent: Option<String>,
}

/// The shortest id that is believed to be one.
pub(crate) const LEAST_ID: usize = 16;

impl Sort {
    /// Whether this is a whole id.
    pub(crate) fn is_id(&self, text: &str) -> bool {
        text.len() >= LEAST_ID && text.len() <= 256 && self.pattern.is_match(text)
    }
}

/// What may be asked in one way.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) path: PathTemplate,
    pub(crate) effect: Effect,
    pub(crate) verbs: Option<Vec<Verb>>,
    pub(crate) once: bool,
    pub(crate) parameters: BTreeMap<String, TextRule>,
    pub(crate) query: BTreeMap<String, TextRule>,
    pub(crate) headers: BTreeMap<String, TextRule>,
    pub(crate) body: Option<BodyRule>,
    pub(crate) response: ResponseRule,
    pub(crate) learn: Option<Learn>,
    pub(crate) adopt: Option<Adopt>,
    pub(crate) releases: Option<String>,
    pub(crate) action: Action,
    pub(crate) bounds: Bounds,
}

impl Rule {
    /// The stream it opens, if it is for one.
    pub(crate) fn stream(&self) -> Option<&StreamRule> {
        match &self.action {
            Action::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// Whether what it forces holds a fact.
    pub(crate) fn forces(&self, wanted: &Fact) -> bool {
        let texts = self
            .parameters
            .values()
            .chain(self.query.values())
            .chain(self.headers.values());
        let mut facts = texts.flat_map(|text| text.demand.facts());
        let body = self.body.iter().flat_map(|body| &body.force);
        facts.any(|fact| fact == wanted) || body.flat_map(Force::facts).any(|fact| fact == wanted)
    }
}

/// Whether it changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Write,
}

/// What is done under a rule.
#[derive(Debug)]
pub(crate) enum Action {
    Send,
    /// Nothing is sent.
    Forget,
    Signal(SignalRule),
    Stream(StreamRule),
    Job(JobRule),
}

/// How much, how deep, how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) timeout_ms: u64,
    pub(crate) request_bytes: usize,
    pub(crate) response_bytes: usize,
    pub(crate) depth: usize,
}

/// What a text may be.
#[derive(Debug, Clone)]
pub(crate) struct TextRule {
    pub(crate) demand: Demand,
    pub(crate) is_required: bool,
    pub(crate) is_sent: bool,
    /// A forced text whose facts are not there is left out.
    pub(crate) is_optional: bool,
}

/// Where it comes from.
#[derive(Debug, Clone)]
pub(crate) enum Demand {
    Pattern {
        regex: Regex,
        text: String,
        /// What may not be, though it fits.
        not: Option<(Regex, String)>,
    },
    OneOf(Vec<String>),
    Owned(String),
    Force(Template),
    ForceJson(Tree),
}

impl Demand {
    /// Whether the host says it.
    pub(crate) fn is_forced(&self) -> bool {
        matches!(self, Self::Force(_) | Self::ForceJson(_))
    }

    pub(crate) fn facts(&self) -> Vec<&Fact> {
        match self {
            Self::Force(template) => template.facts().collect(),
            Self::ForceJson(tree) => tree.facts(),
            _ => Vec::new(),
        }
    }
}

/// What a body may be.
#[derive(Debug)]
pub(crate) struct BodyRule {
    pub(crate) schema: Option<jsonschema::Validator>,
    pub(crate) is_optional: bool,
    pub(crate) force: Vec<Force>,
    pub(crate) secrets: Vec<Pointer>,
}

/// What the host puts in.
#[derive(Debug)]
pub(crate) struct Force {
    pub(crate) at: Pointer,
    pub(crate) what: Forced,
    pub(crate) otherwise: Option<Tree>,
}

#[derive(Debug)]
pub(crate) enum Forced {
    Value(Tree),
    /// One per port, as a list.
    Ports(Tree),
    /// One per port, by a name.
    PortsBy(Template, Tree),
}

impl Force {
    pub(crate) fn facts(&self) -> Vec<&Fact> {
        let mut facts: Vec<&Fact> = self.otherwise.iter().flat_map(Tree::facts).collect();
        match &self.what {
            Forced::Value(tree) | Forced::Ports(tree) => facts.extend(tree.facts()),
            Forced::PortsBy(key, tree) => {
                facts.extend(key.facts());
                facts.extend(tree.facts());
            }
        }
        facts
    }
}

/// What of an answer passes.
#[derive(Debug)]
pub(crate) struct ResponseRule {
    /// None: 200 to 299.
    pub(crate) status: Option<Vec<u16>>,
    pub(crate) body: ResponseBody,
    pub(crate) keep: Vec<Pointer>,
    pub(crate) drop: Vec<Pointer>,
    pub(crate) rows: Option<Rows>,
    pub(crate) errors: Vec<Pointer>,
    pub(crate) headers: Vec<String>,
}

impl ResponseRule {
    /// Whether this status is no failure.
    pub(crate) fn is_success(&self, status: u16) -> bool {
        match &self.status {
            Some(fine) => fine.contains(&status),
            None => (200..300).contains(&status),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseBody {
    Json,
    Text,
    None,
}

/// Which rows of a list pass.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) at: Pointer,
    pub(crate) id: Pointer,
    pub(crate) owned: String,
    pub(crate) or_when: Vec<Equals>,
}

/// A place and what must stand there.
#[derive(Debug)]
pub(crate) struct Equals {
    pub(crate) at: Pointer,
    pub(crate) equals: Tree,
}

/// Where the id of something made stands.
#[derive(Debug)]
pub(crate) struct Learn {
    pub(crate) sort: String,
    pub(crate) id: Pointer,
}

/// When something found is taken as made by us.
#[derive(Debug)]
pub(crate) struct Adopt {
    pub(crate) sort: String,
    pub(crate) id: Pointer,
    pub(crate) when: Vec<Equals>,
}

/// How a stream is read.
#[derive(Debug)]
pub(crate) struct StreamRule {
    pub(crate) direction: Direction,
    pub(crate) upgrade: Option<String>,
    /// By name; the first is the default.
    pub(crate) framings: Vec<(String, Framing)>,
    pub(crate) output: Output,
    pub(crate) keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Out,
    Both,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    Bytes,
    Lines,
    /// Lines that begin with a time.
    Timed(Option<Resume>),
}

/// How a stream of lines goes on after a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resume {
    pub(crate) query: String,
    pub(crate) format: TimeFormat,
    pub(crate) partial: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    Unix,
    Rfc3339,
}

/// How work in the background is followed.
#[derive(Debug, Clone)]
pub(crate) struct JobRule {
    pub(crate) lines: usize,
    pub(crate) by: Option<Pointer>,
    pub(crate) line_bytes: usize,
    pub(crate) longest_ms: u64,
    /// Where a line says that the work failed.
    pub(crate) failed: Option<Pointer>,
}

/// How a process is found that gets a signal.
#[derive(Debug)]
pub(crate) struct SignalRule {
    pub(crate) rule: String,
    pub(crate) pid: Pointer,
    /// Where the service says that it runs: it may do so before it tells the pid.
    pub(crate) running: Option<Pointer>,
    pub(crate) holds: Template,
    pub(crate) signal: String,
    pub(crate) to: SignalTo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalTo {
    Process,
    /// Its process group, where it leads one.
    Group,
}

/// A schema that can be used.
pub(crate) fn compile(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| error.to_string().chars().take(500).collect())
}
