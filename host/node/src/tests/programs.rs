//! Programs beside the double's runtimes. Each does what its command says, and outlives the node.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fleet_capability::source::{Frame, Input, Source, Stream};
use fleet_model::driver::Exit;
use fleet_model::exec::{ExecSpec, ExecState, TerminalSize};
use fleet_model::{Error, Op};
use fleet_protocol::exec::KEPT_BYTES;
use futures::StreamExt;
use tokio::sync::watch;

use super::double::World;

/// All that were ever begun, by the names the double gives them.
pub(super) struct Programs {
    all: Mutex<BTreeMap<String, Program>>,
    /// What a call says instead of that it was done, though it was done.
    unsaid: Mutex<BTreeMap<String, VecDeque<Error>>>,
    /// Whether what has an effect says so only when this is over.
    pub(super) is_held: watch::Sender<bool>,
    changed: watch::Sender<u64>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Program {
    /// `cat` prints what it reads, `swell` a KiB for each byte of it, `deaf` reads nothing, `stubborn`
    /// ignores TERM, `immortal` KILL too, `hidden` runs and cannot be asked for at first, of `hung` nobody
    /// is told how it is. All others wait for what the test does.
    command: String,
    pub(super) starts: u32,
    pub(super) opens: u32,
    pub(super) input: Vec<u8>,
    pub(super) has_input_end: bool,
    pub(super) signals: Vec<(String, String)>,
    pub(super) sizes: Vec<TerminalSize>,
    pub(super) seen: u64,
    pub(super) state: ExecState,
    /// Stream and bytes, from the beginning on.
    output: Vec<(Stream, u8)>,
    kept_from: u64,
    /// How often its source breaks before it can be read.
    breaks: u32,
}

impl Default for Programs {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            unsaid: Mutex::default(),
            is_held: watch::Sender::new(false),
            changed: watch::Sender::new(0),
        }
    }
}

fn exited(code: i32, signal: Option<&str>) -> ExecState {
    ExecState::Exited {
        exit: Exit {
            code,
            signal: signal.map(str::to_owned),
            at_ms: None,
        },
        timed_out: false,
    }
}

impl Programs {
    /// Looks at one.
    pub(super) fn of<T>(&self, exec: &str, look: impl FnOnce(&Program) -> T) -> Option<T> {
        self.lock().get(exec).map(look)
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// It prints.
    pub(super) fn print(&self, exec: &str, stream: Stream, bytes: &[u8]) {
        self.change(exec, |program| program.print(stream, bytes));
    }

    /// It ends.
    pub(super) fn exit(&self, exec: &str, code: i32) {
        self.change(exec, |program| program.state = exited(code, None));
    }

    /// What it printed before this place is not kept any more.
    pub(super) fn drop_until(&self, exec: &str, offset: u64) {
        self.change(exec, |program| program.kept_from = offset);
    }

    /// Its source breaks so often, each time right after it was opened.
    pub(super) fn break_source(&self, exec: &str, times: u32) {
        self.change(exec, |program| program.breaks = times);
    }

    /// Calls under this key begin the program and answer these errors, one after the other.
    pub(super) fn say_instead(&self, call: &str, errors: impl IntoIterator<Item = Error>) {
        let errors = errors.into_iter().collect();
        self.unsaid.lock().unwrap().insert(call.to_owned(), errors);
    }

    /// Returns when nothing is held any more.
    pub(super) async fn let_go(&self) {
        let mut held = self.is_held.subscribe();
        held.wait_for(|held| !held).await.unwrap();
    }

    pub(super) fn exec(&self, op: &Op, spec: &ExecSpec) -> Result<String, Error> {
        let command = spec.command.join(" ");
        if command == "missing" {
            return Err(Error::invalid(
                "program-missing",
                "there is no program `missing`",
            ));
        }
        let mut all = self.lock();
        let is_new = !all.contains_key(&op.call);
        let program = all.entry(op.call.clone()).or_insert_with(|| Program {
            command,
            starts: 0,
            opens: 0,
            input: Vec::new(),
            has_input_end: false,
            signals: Vec::new(),
            sizes: Vec::new(),
            seen: 0,
            state: ExecState::Running,
            output: Vec::new(),
            kept_from: 0,
            breaks: 0,
        });
        program.starts += 1;
        if program.command == "hidden" && is_new {
            return Err(Error::unavailable(
                "busy",
                "it began, and nobody can say so",
            ));
        }
        let mut unsaid = self.unsaid.lock().unwrap();
        match unsaid.get_mut(&op.call).and_then(VecDeque::pop_front) {
            Some(error) => Err(error),
            None => Ok(op.call.clone()),
        }
    }

    /// Whether its backend never says how it is.
    pub(super) fn is_hung(&self, exec: &str) -> bool {
        self.of(exec, |program| program.command == "hung") == Some(true)
    }

    pub(super) fn inspect(&self, exec: &str) -> Result<ExecState, Error> {
        self.of(exec, |program| program.state.clone())
            .ok_or_else(gone)
    }

    pub(super) fn resize(&self, exec: &str, size: TerminalSize) -> Result<(), Error> {
        self.change(exec, |program| program.sizes.push(size));
        Ok(())
    }

    pub(super) fn signal(&self, op: &Op, exec: &str, signal: &str) -> Result<(), Error> {
        let mut answer = Ok(());
        self.change(exec, |program| {
            if program.state.is_over() {
                answer = Err(gone());
                return;
            }
            program.signals.push((signal.into(), op.call.clone()));
            let command = program.command.as_str();
            match signal {
                "TERM" if command != "stubborn" && command != "immortal" => {
                    program.state = exited(143, Some("TERM"));
                }
                "KILL" if command != "immortal" => program.state = exited(137, Some("KILL")),
                _ => {}
            }
        });
        answer
    }

    pub(super) fn remove(&self, exec: &str) -> Result<(), Error> {
        let removed = self.lock().remove(exec);
        self.changed.send_modify(|count| *count += 1);
        removed.map(drop).ok_or_else(gone)
    }

    pub(super) fn open(world: &Arc<World>, exec: &str, after: u64) -> Result<Source, Error> {
        let mut opened = (0, 0);
        world.programs.change(exec, |program| {
            program.opens += 1;
            program.seen = program.seen.max(after);
            program.breaks = program.breaks.saturating_sub(1);
            opened = (program.opens, program.breaks);
        });
        let (number, breaks) = opened;
        if number == 0 {
            return Err(gone());
        }
        let output = futures::stream::unfold(
            (world.clone(), exec.to_owned(), after, breaks > 0),
            move |(world, exec, at, is_broken)| async move {
                if is_broken {
                    let broken = Error::unavailable("source-broken", "it broke");
                    return Some((Err(broken), (world, exec, u64::MAX, false)));
                }
                let mut changed = world.programs.changed.subscribe();
                loop {
                    let look = |program: &Program| {
                        let is_mine = program.opens == number;
                        let next = program.frame(at).filter(|_| is_mine);
                        (next, !is_mine || program.state.is_over())
                    };
                    match world.programs.of(&exec, look)? {
                        (Some(frame), _) => {
                            let at = frame.cursor.as_ref()?.parse().ok()?;
                            return Some((Ok(frame), (world, exec, at, false)));
                        }
                        (None, true) => return None,
                        (None, false) => {}
                    }
                    changed.changed().await.ok()?;
                }
            },
        );
        Ok(Source {
            output: output.boxed(),
            input: Some(Box::new(Way {
                world: world.clone(),
                exec: exec.to_owned(),
                number,
            })),
        })
    }

    fn change(&self, exec: &str, change: impl FnOnce(&mut Program)) {
        if let Some(program) = self.lock().get_mut(exec) {
            change(program);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Program>> {
        self.all.lock().unwrap()
    }
}

fn gone() -> Error {
    Error::not_found("gone", "the double knows no such program")
}

impl Program {
    /// All it printed.
    pub(super) fn printed(&self) -> u64 {
        self.output.len() as u64
    }

    fn print(&mut self, stream: Stream, bytes: &[u8]) {
        self.output.extend(bytes.iter().map(|byte| (stream, *byte)));
    }

    /// What it prints next after this place, in pieces of one stream.
    fn frame(&self, at: u64) -> Option<Frame> {
        if at < self.kept_from {
            return Some(piece(Stream::Event, Bytes::new(), self.kept_from));
        }
        let rest = self.output.get(usize::try_from(at).ok()?..)?;
        let stream = rest.first()?.0;
        let bytes: Bytes = rest
            .iter()
            .take(64 * 1024)
            .take_while(|(other, _)| *other == stream)
            .map(|(_, byte)| *byte)
            .collect();
        let to = at + bytes.len() as u64;
        Some(piece(stream, bytes, to))
    }

    /// Reads, if it does.
    fn read(&mut self, bytes: &[u8]) -> bool {
        match self.command.as_str() {
            "deaf" => return false,
            "cat" => self.print(Stream::Stdout, bytes),
            "swell" => {
                // A program that is held back does not read.
                if self.printed().saturating_sub(self.seen) >= KEPT_BYTES {
                    return false;
                }
                for byte in bytes {
                    self.print(Stream::Stdout, &[*byte; 1024]);
                }
            }
            _ => {}
        }
        self.input.extend_from_slice(bytes);
        true
    }
}

fn piece(stream: Stream, bytes: Bytes, to: u64) -> Frame {
    Frame {
        stream,
        time_us: None,
        bytes,
        complete: false,
        cursor: Some(to.to_string()),
    }
}

/// The way into one.
struct Way {
    world: Arc<World>,
    exec: String,
    number: u32,
}

#[async_trait]
impl Input for Way {
    fn taken(&self) -> u64 {
        let taken = |program: &Program| program.input.len() as u64;
        self.world.programs.of(&self.exec, taken).unwrap_or(0)
    }

    async fn give(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        // In pieces, as a pipe takes them: what is broken off was taken in part.
        while !bytes.is_empty() {
            let part = bytes.slice(..bytes.len().min(1024));
            let mut outcome = Ok(false);
            self.world.programs.change(&self.exec, |program| {
                outcome = match &program.state {
                    _ if program.opens != self.number => Err(gone()),
                    ExecState::Running => Ok(program.read(&part)),
                    _ => Err(Error::conflict("input-closed", "it has ended")),
                };
            });
            match outcome? {
                true => drop(bytes.split_to(part.len())),
                false => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Error> {
        self.world.programs.change(&self.exec, |program| {
            program.has_input_end = true;
            if matches!(program.command.as_str(), "cat" | "swell") {
                program.state = exited(0, None);
            }
        });
        Ok(())
    }

    async fn seen(&mut self, offset: u64) -> Result<(), Error> {
        self.world.programs.change(&self.exec, |program| {
            program.seen = program.seen.max(offset);
        });
        Ok(())
    }
}
