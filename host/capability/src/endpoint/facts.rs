//! What the host knows by itself and a rule can force: `{workload}`, `{nonce}`, `{workspace}`.

use std::collections::BTreeMap;

use fleet_model::driver::Port;
use fleet_model::spec::Limits;
use fleet_model::{Name, Op};

/// A fact that a text of a policy can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    Host,
    Plugin,
    Path(String),
    Query(String),
    Parent,
    Workload,
    Generation,
    Attempt,
    Verb,
    Call,
    Nonce,
    Node,
    Name,
    Workspace,
    MemoryBytes,
    CpuMillis,
    Processes,
    PortName,
    PortInside,
    PortHost,
}

/// When a fact is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// Under a write.
    Write,
    /// Under `create`.
    Create,
    /// In `each = "ports"`.
    Port,
    /// In `holds` of a signal.
    Signal,
}

const PLAIN: [(&str, Fact, When); 18] = [
    ("host", Fact::Host, When::Always),
    ("plugin", Fact::Plugin, When::Always),
    ("parent", Fact::Parent, When::Signal),
    ("workload", Fact::Workload, When::Write),
    ("generation", Fact::Generation, When::Write),
    ("attempt", Fact::Attempt, When::Write),
    ("verb", Fact::Verb, When::Write),
    ("call", Fact::Call, When::Write),
    ("nonce", Fact::Nonce, When::Write),
    ("node", Fact::Node, When::Create),
    ("name", Fact::Name, When::Create),
    ("workspace", Fact::Workspace, When::Create),
    ("limits.memory-bytes", Fact::MemoryBytes, When::Create),
    ("limits.cpu-millis", Fact::CpuMillis, When::Create),
    ("limits.processes", Fact::Processes, When::Create),
    ("port.name", Fact::PortName, When::Port),
    ("port.inside", Fact::PortInside, When::Port),
    ("port.host", Fact::PortHost, When::Port),
];

impl Fact {
    /// The fact of this name.
    ///
    /// # Errors
    /// Those there are.
    pub(crate) fn named(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("path.") {
            return Ok(Self::Path(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("query.") {
            return Ok(Self::Query(name.to_owned()));
        }
        let known = PLAIN.iter().find(|(name, ..)| *name == text);
        known.map(|(_, fact, _)| fact.clone()).ok_or_else(|| {
            let names: Vec<&str> = PLAIN.iter().map(|(name, ..)| *name).collect();
            format!(
                "there is no fact `{text}`; there are path.NAME, query.NAME, {}",
                names.join(", ")
            )
        })
    }

    /// When it is there.
    pub(crate) fn when(&self) -> When {
        PLAIN
            .iter()
            .find(|(_, fact, _)| fact == self)
            .map_or(When::Always, |(.., when)| *when)
    }

    /// Whether it is a limit, which a workload need not have.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(self, Self::MemoryBytes | Self::CpuMillis | Self::Processes)
    }

    /// As it is written.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Path(name) => format!("path.{name}"),
            Self::Query(name) => format!("query.{name}"),
            fact => PLAIN
                .iter()
                .find(|(_, known, _)| known == fact)
                .map_or_else(String::new, |(name, ..)| (*name).to_owned()),
        }
    }
}

/// Of the workload that a call of `create` makes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// The node it runs on.
    pub node: String,
    /// Its name, for people.
    pub name: String,
    /// What it may use.
    pub limits: Limits,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Which granted secret each placeholder stands for.
    pub secrets: BTreeMap<String, Name>,
}

/// Who something belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The workload it was made for.
    pub workload: String,
    /// The id of what it lives in.
    pub parent: Option<String>,
}

/// Knows what is owned.
pub trait Ownership: Sync {
    /// Who owns the thing of this sort and id, if it is this plugin's at all.
    fn owner(&self, sort: &str, id: &str) -> Option<Owner>;
}

/// All that is decided on, beside policy and request.
pub struct Facts<'a> {
    /// The mark of this host's data folder.
    pub host: &'a str,
    /// Who asks.
    pub plugin: &'a Name,
    /// The op of its call.
    pub op: Option<&'a Op>,
    /// The nonce of that op.
    pub nonce: Option<&'a str>,
    /// Of the workload it makes, under `create`.
    pub terms: Option<&'a Terms>,
    /// The workspace of the op's workload.
    pub workspace: Option<&'a str>,
    /// What is owned.
    pub owned: &'a dyn Ownership,
}

/// What a request itself brings: the parts of its path and its query by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Arguments {
    pub(crate) path: BTreeMap<String, String>,
    pub(crate) query: BTreeMap<String, String>,
}

impl Facts<'_> {
    /// What a fact says, if it is there.
    pub(crate) fn say(&self, fact: &Fact, arguments: &Arguments) -> Option<String> {
        let op = self.op;
        let terms = self.terms;
        let limits = terms.map(|terms| &terms.limits);
        match fact {
            Fact::Host => Some(self.host.to_owned()),
            Fact::Plugin => Some(self.plugin.to_string()),
            Fact::Path(name) => arguments.path.get(name).cloned(),
            Fact::Query(name) => arguments.query.get(name).cloned(),
            Fact::Workload => op.map(|op| op.item.key.clone()),
            Fact::Generation => op.map(|op| op.generation.to_string()),
            Fact::Attempt => op.map(|op| op.attempt.to_string()),
            Fact::Verb => op.map(|op| op.verb.as_str().to_owned()),
            Fact::Call => op.map(|op| op.call.clone()),
            Fact::Nonce => self.nonce.map(str::to_owned),
            Fact::Node => terms.map(|terms| terms.node.clone()),
            Fact::Name => terms.map(|terms| terms.name.clone()),
            Fact::Workspace => terms.and(self.workspace).map(str::to_owned),
            Fact::MemoryBytes => limits?.memory.map(|size| size.as_bytes().to_string()),
            Fact::CpuMillis => limits?.cpu.map(|cpu| cpu.as_millis().to_string()),
            Fact::Processes => limits?.processes.map(|count| count.to_string()),
            Fact::PortName | Fact::PortInside | Fact::PortHost | Fact::Parent => None,
        }
    }
}

/// The same of one port.
pub(crate) fn of_port(fact: &Fact, port: &Port) -> Option<String> {
    match fact {
        Fact::PortName => Some(port.name.to_string()),
        Fact::PortInside if port.inside == 0 => Some(port.host.to_string()),
        Fact::PortInside => Some(port.inside.to_string()),
        Fact::PortHost => Some(port.host.to_string()),
        _ => None,
    }
}
