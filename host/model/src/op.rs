//! Ops: the name of one effect.
//!
//! `op = (item, generation, attempt, verb, call)`. The same op again must have the same effect and
//! the same answer; that is how a call whose answer was lost is repeated without doing it twice.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::item::{Attempt, Generation, ItemKey};

/// What an op does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Prepare a runtime.
    Create,
    /// Let it run.
    Start,
    /// Ask it to end.
    Stop,
    /// End it.
    Kill,
    /// Remove all that was made.
    Destroy,
    /// Give it a command on its input.
    Send,
    /// Run a program beside it.
    Exec,
    /// Send a signal, to it or to a program beside it.
    Signal,
}

impl Verb {
    /// The word as it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Destroy => "destroy",
            Self::Send => "send",
            Self::Exec => "exec",
            Self::Signal => "signal",
        }
    }
}

/// The name of one effect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Op {
    /// On what.
    pub item: ItemKey,
    /// Under which intent.
    pub generation: Generation,
    /// In which try.
    pub attempt: Attempt,
    /// What.
    pub verb: Verb,
    /// Empty, except for verbs that may be repeated on purpose: then the client's key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub call: String,
}

/// The one text form: `workload/wl_…@7.1:start`, with `#key` where a client gave one.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}@{}.{}:{}",
            self.item,
            self.generation,
            self.attempt,
            self.verb.as_str()
        )?;
        if self.call.is_empty() {
            Ok(())
        } else {
            write!(f, "#{}", self.call)
        }
    }
}
