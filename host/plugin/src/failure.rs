//! What went wrong in a call that got no answer, in the words of the plugin's author.

use fleet_capability::Redactor;
use fleet_model::{Error, ErrorKind, Name};
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::convert::{MAX_TEXT, text};
use crate::last_words::last_words;
use crate::limits::CpuSpent;
use crate::manifest::Limits;

/// How many frames of a backtrace are shown.
const MAX_FRAMES: usize = 12;

/// A call that gave nothing, and on whom that reflects.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) blame: Blame,
}

/// Whose failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The plugin's: it trapped, broke its contract, said that it has a bug, or met a limit.
    Plugin,
    /// Nobody's: the plugin answered that it cannot.
    Nobody,
    /// The host's: the call was not begun.
    Host,
    /// Nobody's: it took too long while newer code had taken the plugin's place, which is to be asked
    /// in its stead.
    Moved,
}

impl Failure {
    /// The plugin's own words, or what its answer is worth.
    pub(crate) fn answered(error: Error) -> Self {
        let blame = match error.kind {
            ErrorKind::Internal => Blame::Plugin,
            _ => Blame::Nobody,
        };
        Self { error, blame }
    }

    /// It broke.
    fn broken(error: Error) -> Self {
        let blame = Blame::Plugin;
        Self { error, blame }
    }

    /// Newer code is to be asked.
    pub(crate) fn moved() -> Self {
        let blame = Blame::Moved;
        let error = Error::unavailable("swapped", "newer code of the plugin is to be asked");
        Self { error, blame }
    }

    /// It was not begun.
    pub(crate) fn not_begun(error: Error) -> Self {
        let blame = Blame::Host;
        Self { error, blame }
    }
}

/// What is known about a call that failed.
pub(crate) struct Failed<'a> {
    pub(crate) plugin: &'a Name,
    /// The export that was called.
    pub(crate) verb: &'static str,
    pub(crate) limits: &'a Limits,
    pub(crate) memory_refused: bool,
    /// The end of what the guest wrote to stderr, without what may not be seen.
    pub(crate) stderr: String,
    /// For what else comes from the guest: names in its code.
    pub(crate) redactor: &'a Redactor,
}

impl Failed<'_> {
    /// The guest's own fault, or a limit it met.
    pub(crate) fn explain(&self, error: &wasmtime::Error) -> Failure {
        let (plugin, verb) = (self.plugin, self.verb);
        if error.is::<CpuSpent>() {
            let message = format!(
                "`{plugin}` used more than {} ms of processor time in `{verb}`: let one call do less, or raise `cpu_ms` in [limits] of its manifest",
                self.limits.cpu_ms
            );
            return self.with_facts(
                Error::new(ErrorKind::Deadline, "cpu-budget", message),
                error,
            );
        }
        if error.is::<PoolConcurrencyLimitError>() {
            let message = format!(
                "too many calls of plugins are under way; `{verb}` of `{plugin}` was not begun"
            );
            let mut full = Error::new(ErrorKind::Exhausted, "instances", message);
            full.retry_after_ms = Some(100);
            return Failure::not_begun(full.with("plugin", plugin));
        }
        if self.memory_refused {
            let message = format!(
                "`{plugin}` needs more than {} bytes of memory in `{verb}`: let one call hold less, or raise `memory_bytes` in [limits] of its manifest",
                self.limits.memory_bytes
            );
            return self.with_facts(Error::new(ErrorKind::Exhausted, "memory", message), error);
        }
        let what = match (
            last_words(&self.stderr),
            error.downcast_ref::<Trap>(),
            error.downcast_ref::<I32Exit>(),
        ) {
            (Some(words), ..) => words,
            (None, Some(trap), _) => trap.to_string(),
            (None, None, Some(I32Exit(code))) => format!("it ended itself with exit code {code}"),
            (None, None, None) => error.root_cause().to_string(),
        };
        let what = text(self.redactor.text(&what).into_owned(), MAX_TEXT / 2);
        let message = format!(
            "`{plugin}` trapped in `{verb}`: {what}; mend the plugin: it may answer with an error, but not break off"
        );
        self.with_facts(Error::internal("trap", message), error)
    }

    /// It did not answer in time.
    pub(crate) fn too_late(&self) -> Failure {
        let message = format!(
            "`{}` did not answer `{}` within {} ms: no call may wait for the runtime (say what is so now, the host asks again); what needs longer raises `deadline_ms` in [limits] of its manifest",
            self.plugin, self.verb, self.limits.deadline_ms
        );
        let late = Error::new(ErrorKind::Deadline, "wall-clock", message);
        Failure::broken(late.with("plugin", self.plugin).with("export", self.verb))
    }

    fn with_facts(&self, failure: Error, error: &wasmtime::Error) -> Failure {
        let mut failure = failure
            .with("plugin", self.plugin)
            .with("export", self.verb);
        if let Some(trace) = error.downcast_ref::<WasmBacktrace>() {
            // Its text has the names as their author wrote them: `0: 0x12 - module!function`.
            let trace = trace.to_string();
            let trace = self.redactor.text(&trace);
            let frames: Vec<String> = trace
                .lines()
                .filter_map(|line| line.split_once(" - "))
                .take(MAX_FRAMES)
                .map(|(_, frame)| text(frame.replace("<unknown>!", ""), 120))
                .collect();
            failure = failure.with("backtrace", frames.join(" < "));
        }
        if !self.stderr.trim().is_empty() {
            failure = failure.with("stderr", text(self.stderr.trim().to_owned(), 2_048));
        }
        Failure::broken(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_from_bugs() {
        let limits = Limits::default();
        let name: Name = "mock".parse().unwrap();
        let redactor = Redactor::default();
        let failed = |memory_refused, stderr: &str| Failed {
            plugin: &name,
            verb: "create",
            limits: &limits,
            memory_refused,
            stderr: stderr.to_owned(),
            redactor: &redactor,
        };
        let trap = || wasmtime::Error::from(Trap::UnreachableCodeReached);
        for (error, want) in [
            (
                failed(false, "").explain(&wasmtime::Error::new(CpuSpent)),
                (ErrorKind::Deadline, "cpu-budget"),
            ),
            (
                failed(true, "").explain(&trap()),
                (ErrorKind::Exhausted, "memory"),
            ),
            (
                failed(false, "").explain(&trap()),
                (ErrorKind::Internal, "trap"),
            ),
            (
                failed(false, "").explain(&wasmtime::Error::new(I32Exit(3))),
                (ErrorKind::Internal, "trap"),
            ),
            (
                failed(false, "").too_late(),
                (ErrorKind::Deadline, "wall-clock"),
            ),
        ] {
            assert_eq!(error.blame, Blame::Plugin);
            let error = error.error;
            assert_eq!((error.kind, error.code.as_str()), want);
            assert!(
                error.message.contains("`mock`") && error.message.contains("`create`"),
                "{error}"
            );
        }
        let error = failed(
            false,
            "thread 'x' panicked at src/lib.rs:1:1:\nno such runtime\n",
        )
        .explain(&trap())
        .error;
        assert!(
            error
                .message
                .contains(": panicked at src/lib.rs:1:1: no such runtime; mend the plugin"),
            "{error}"
        );
    }
}
