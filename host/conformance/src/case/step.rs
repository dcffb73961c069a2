//! One step of a case.
//!
//! `on` names a runtime of the case (`a` where it says nothing), `of` in the steps of exec a program
//! beside one (`x`). What each does is documented in `tests/conformance/README.md`.

use fleet_model::ErrorKind;
use fleet_model::exec::TerminalSize;
use fleet_plugin::conformance::{ExecRole, Role};
use serde::{Deserialize, Serialize};

/// One step.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Step {
    /// `describe`: agrees with the manifest, its schema is one, it reads what it writes.
    Describe {},
    /// `fingerprint`: it can work here, and answers what it answered before.
    Fingerprint {},
    /// Makes a runtime that plays a part, of a new workload or `of` the one of another runtime.
    Create {
        #[serde(rename = "as", default = "runtime")]
        name: String,
        role: Role,
        of: Option<String>,
        #[serde(default = "one")]
        generation: u64,
        #[serde(default = "one")]
        attempt: u64,
    },
    /// Asks to make one with a config that the schema refuses: it is refused as `invalid`.
    CreateOffSchema { role: Role },
    Start {
        #[serde(default = "runtime")]
        on: String,
    },
    Stop {
        #[serde(default = "runtime")]
        on: String,
        #[serde(default = "term")]
        signal: String,
        attempt: Option<u64>,
        /// How long the call may take.
        at_most_ms: Option<u64>,
    },
    Kill {
        #[serde(default = "runtime")]
        on: String,
        attempt: Option<u64>,
    },
    Destroy {
        #[serde(default = "runtime")]
        on: String,
        attempt: Option<u64>,
    },
    /// Repeats the last call that changed something, with the same op: on the handle it was given and on
    /// the handle it answered. Same effect, same answer.
    Repeat {},
    /// The host is gone, and another opens the same folders.
    LoseHost {},
    /// Looks until it is so.
    Await {
        #[serde(default = "runtime")]
        on: String,
        is: Words,
        code: Option<i32>,
        signal: Option<String>,
    },
    /// Looks once.
    Look {
        #[serde(default = "runtime")]
        on: String,
        #[serde(default = "Words::any")]
        is: Words,
    },
    /// Waits until it has printed `ready`; without logs, a moment.
    Ready {
        #[serde(default = "runtime")]
        on: String,
    },
    /// Asks `recover` about these, `garbage` among them, again and again up to `count` handles.
    Recover {
        of: Vec<String>,
        are: Vec<Words>,
        count: Option<usize>,
    },
    /// Reads the whole list in pages.
    List {
        limit: u32,
        #[serde(default)]
        has: Vec<String>,
        #[serde(default)]
        lacks: Vec<String>,
    },
    /// All that was printed; kept for the steps below.
    Logs {
        #[serde(default = "runtime")]
        on: String,
        #[serde(default)]
        stdout: Vec<String>,
        #[serde(default)]
        stderr: Vec<String>,
    },
    /// The last lines of it.
    LogsTail {
        #[serde(default = "runtime")]
        on: String,
        lines: usize,
    },
    /// From the time of its line of this number, counted from 1.
    LogsSince {
        #[serde(default = "runtime")]
        on: String,
        line: usize,
    },
    /// From the cursor of each of its lines.
    LogsCursors {
        #[serde(default = "runtime")]
        on: String,
    },
    /// Follows the log until these have come; nothing else may.
    LogsFollow {
        #[serde(default = "runtime")]
        on: String,
        #[serde(default)]
        stdout: Vec<String>,
        #[serde(default)]
        stderr: Vec<String>,
    },
    /// Gives it a line on its input.
    Send {
        #[serde(default = "runtime")]
        on: String,
        text: String,
        refused: Option<Kinds>,
    },
    /// Sends it a signal.
    Signal {
        #[serde(default = "runtime")]
        on: String,
        signal: String,
        refused: Option<Kinds>,
    },
    /// Looks at what it uses: something is told, and no counter is below an earlier look's.
    Stats {
        #[serde(default = "runtime")]
        on: String,
        refused: Option<Kinds>,
    },
    /// Opens a watch.
    Watch {
        #[serde(default = "runtime")]
        on: String,
    },
    /// Waits until the watch wakes and it runs no more.
    Woken {
        #[serde(default = "runtime")]
        on: String,
    },
    /// Kills its processes without a word to the backend.
    KillBehind {
        #[serde(default = "runtime")]
        on: String,
        what: Behind,
    },
    /// So many processes of it are there.
    Processes {
        #[serde(default = "runtime")]
        on: String,
        are: usize,
    },
    /// Nothing of the destroyed runtimes is on the machine. Every case ends with this.
    NothingLeft {},
    /// Starts a program beside it.
    Exec {
        #[serde(default = "runtime")]
        on: String,
        #[serde(rename = "as", default = "exec")]
        name: String,
        role: ExecRole,
        /// Of this size; absent: on pipes.
        terminal: Option<TerminalSize>,
        refused: Option<Kinds>,
    },
    /// Starts one that is not there: it is refused, or ends with 126 or 127.
    ExecMissing {
        #[serde(default = "runtime")]
        on: String,
    },
    /// All its output, to its end.
    ExecOutput {
        #[serde(default = "exec")]
        of: String,
        #[serde(default)]
        stdout: Vec<String>,
        #[serde(default)]
        stderr: Vec<String>,
    },
    /// Its output until these lines have come.
    ExecPrints {
        #[serde(default = "exec")]
        of: String,
        stdout: Vec<String>,
    },
    /// Its output from each place at which a piece of it ended.
    ExecCursors {
        #[serde(default = "exec")]
        of: String,
    },
    /// Gives it a line on its input, and its end where it says so.
    ExecGive {
        #[serde(default = "exec")]
        of: String,
        text: String,
        #[serde(default)]
        end: bool,
    },
    /// Looks until it has ended.
    ExecAwait {
        #[serde(default = "exec")]
        of: String,
        code: Option<i32>,
        signal: Option<String>,
    },
    /// Looks once.
    ExecLook {
        #[serde(default = "exec")]
        of: String,
        is: Words,
    },
    /// Gives its terminal another size.
    ExecResize {
        #[serde(default = "exec")]
        of: String,
        to: TerminalSize,
        refused: Option<Kinds>,
    },
    ExecSignal {
        #[serde(default = "exec")]
        of: String,
        signal: String,
        refused: Option<Kinds>,
    },
    ExecRemove {
        #[serde(default = "exec")]
        of: String,
    },
    /// So many processes of it are there.
    ExecProcesses {
        #[serde(default = "exec")]
        of: String,
        are: usize,
    },
}

/// What does not die by a backend's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Behind {
    /// The program and what descends from it.
    Program,
    /// Whatever looks after the program, and the program.
    Keeper,
}

/// A state in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Word {
    Created,
    Running,
    Exited,
    Lost,
    Unknown,
}

/// One word, or any of several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMany<Word>")]
pub(crate) struct Words(pub(crate) Vec<Word>);

/// One kind of refusal, or any of several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMany<ErrorKind>")]
pub(crate) struct Kinds(pub(crate) Vec<ErrorKind>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl Words {
    /// Whatever it is.
    fn any() -> Self {
        use Word::{Created, Exited, Lost, Running, Unknown};
        Self(vec![Created, Running, Exited, Lost, Unknown])
    }
}

impl From<OneOrMany<Word>> for Words {
    fn from(words: OneOrMany<Word>) -> Self {
        Self(words.into_vec())
    }
}

impl From<OneOrMany<ErrorKind>> for Kinds {
    fn from(kinds: OneOrMany<ErrorKind>) -> Self {
        Self(kinds.into_vec())
    }
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

fn runtime() -> String {
    "a".to_owned()
}

fn exec() -> String {
    "x".to_owned()
}

fn term() -> String {
    "TERM".to_owned()
}

fn one() -> u64 {
    1
}
