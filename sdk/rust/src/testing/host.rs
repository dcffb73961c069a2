//! A host made up: what a plugin's imports answer.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::log::Level;
use crate::{Error, Op, Source, endpoint, lines, process};

/// What a test may set, and look at afterwards.
#[derive(Debug)]
pub struct Host {
    /// What the clock says, Unix milliseconds.
    pub now_ms: u64,
    /// The operator's settings, as JSON.
    pub settings: String,
    /// The schema that handles are to be written in, where it is not the plugin's own.
    pub write_schema: Option<u32>,
    /// What was logged.
    pub log: Vec<(Level, String)>,
    /// What the sources that were opened are of, in order.
    pub opened: Vec<Seen>,
    /// Whether any launcher is granted.
    pub is_granted: bool,
    /// The programs that were prepared and not removed, by their name.
    pub programs: BTreeMap<String, Program>,
    /// Signals that were sent: the program's name and the signal's.
    pub signals: Vec<(String, String)>,
    /// Commands that were given: the program's name and the bytes.
    pub commands: Vec<(String, Vec<u8>)>,
    /// What services answer, by method and path. What has no answer is refused, as a policy does.
    pub answers: BTreeMap<(String, String), Answer>,
    /// What services were asked.
    pub asked: Vec<endpoint::Request>,
    pub(crate) done: BTreeSet<String>,
}

/// A program that is only written down.
#[derive(Debug, Clone)]
pub struct Program {
    /// What was asked for.
    pub request: process::Request,
    /// The intent it serves.
    pub generation: u64,
    /// What it does.
    pub state: process::State,
    /// Since when, in Unix milliseconds.
    pub started_at_ms: Option<u64>,
}

/// What a service answers.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// What a source is of.
#[derive(Debug, Clone)]
pub enum Seen {
    /// Lines that the plugin brought.
    Lines(Vec<lines::Line>),
    /// A stream of a program.
    Process(String, process::Stream),
    /// A stream of a service: method and path.
    Endpoint(String, String),
}

impl Default for Host {
    fn default() -> Self {
        Self {
            now_ms: 1_700_000_000_000,
            settings: "{}".to_owned(),
            write_schema: None,
            log: Vec::new(),
            opened: Vec::new(),
            is_granted: true,
            programs: BTreeMap::new(),
            signals: Vec::new(),
            commands: Vec::new(),
            answers: BTreeMap::new(),
            asked: Vec::new(),
            done: BTreeSet::new(),
        }
    }
}

impl Host {
    /// A program ends, as a test wants it.
    pub fn end(&mut self, reference: &str, code: i32) {
        let exit = process::Exit {
            code,
            signal: None,
            at_ms: Some(self.now_ms),
        };
        if let Some(program) = self.programs.get_mut(reference) {
            program.state = process::State::Exited(exit);
        }
    }

    /// A service answers this from now on.
    pub fn answer(&mut self, method: &str, path: &str, status: u16, body: impl Into<Vec<u8>>) {
        let body = body.into();
        let asked = (method.to_owned(), path.to_owned());
        self.answers.insert(asked, Answer { status, body });
    }

    /// The program of this name.
    pub(crate) fn program(&mut self, reference: &str) -> Result<&mut Program, Error> {
        let missing = || Error::not_found("no-process", format!("there is no process {reference}"));
        self.programs.get_mut(reference).ok_or_else(missing)
    }

    /// Whether an op comes for the first time.
    pub(crate) fn is_first(&mut self, op: &Op) -> bool {
        self.done.insert(op.id.clone())
    }

    /// A source, and a note of what it is of.
    pub(crate) fn source(&mut self, of: Seen) -> Source {
        self.opened.push(of);
        // SAFETY: no host knows the number. It is taken back at once, and a source whose number was
        // taken is an empty shell that gives nothing back when it is dropped.
        #[expect(unsafe_code, reason = "the bindings have no other way to make one")]
        let source = unsafe { Source::from_handle(1) };
        let _ = source.take_handle();
        source
    }
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::new(Host::default());
}

/// Sets up the host of this test, or looks at it. Must not be called within itself.
pub fn with_host<T>(work: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(work)
}

/// As if nothing had been done.
pub fn reset() {
    with_host(|host| *host = Host::default());
}
