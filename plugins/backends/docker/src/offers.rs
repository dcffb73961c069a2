//! What the backend offers beside the driver: logs, programs beside a container's own, signals, figures.

use fleet_sdk::{Error, Handle, Op, Source, exec, logs, signals, stats};

use crate::ask::{self, Framing, Part};
use crate::beside::{self, Name};
use crate::refusal::{self, Doing};
use crate::runtime::Runtime;
use crate::{Docker, ask_for, body, engine, look, signal, time, usage};

impl logs::Guest for Docker {
    fn open(handle: Handle, options: logs::Options) -> Result<Source, Error> {
        let runtime = Runtime::of(&handle)?;
        let terminal = match runtime.terminal {
            Some(terminal) => terminal,
            None => look(&runtime)?.has_terminal(),
        };
        let part = part(&options);
        let ask = ask::logs(&runtime.container, &part);
        let framing = Framing::of_terminal(terminal);
        engine::open(None, runtime.api, &ask, framing, options.cursor)
    }
}

/// What part of the log to ask for. Behind a cursor the host asks for what is missing by itself.
fn part(options: &logs::Options) -> Part {
    let follow = options.follow;
    if options.cursor.is_some() {
        return Part {
            follow,
            ..Part::default()
        };
    }
    Part {
        follow,
        since_s: options.since_ms.map(time::seconds),
        tail: options.tail,
    }
}

impl exec::Guest for Docker {
    /// Two requests, each once for an op: the engine's answers are kept by the host, and a program that
    /// was begun is not begun again.
    fn start(op: Op, handle: Handle, request: exec::Request) -> Result<String, Error> {
        let runtime = Runtime::of(&handle)?;
        let size = request.terminal;
        let terminal = size.is_some();
        let ask = ask::exec_create(&runtime.container, body::exec(request)?);
        let (api, answer) = engine::send(&op, runtime.api, &ask)?;
        let id = beside::id(Doing::Other, &answer)?;
        let ask = ask::exec_start(&id, terminal);
        match engine::open(Some(&op), api, &ask, Framing::of_terminal(terminal), None) {
            // The host keeps it; whoever wants to read comes back to it.
            Ok(stream) => drop(stream),
            Err(error) if error.code == "stream-begun" => {}
            Err(error) => return Err(error),
        }
        if let Some(size) = size {
            let ask = ask::exec_resize(&id, size.columns, size.rows);
            // A program that has ended already needs no size.
            let _ = engine::get(api, &ask);
        }
        Ok(Name { id, terminal }.text())
    }

    fn open(handle: Handle, exec: String, cursor: Option<String>) -> Result<Source, Error> {
        let runtime = Runtime::of(&handle)?;
        let Name { id, terminal } = Name::of(&exec);
        let ask = ask::exec_start(&id, terminal);
        let framing = Framing::of_terminal(terminal);
        engine::open(None, runtime.api, &ask, framing, cursor)
    }

    fn inspect(handle: Handle, exec: String) -> Result<exec::State, Error> {
        let runtime = Runtime::of(&handle)?;
        match ask_for(&runtime, &ask::exec_inspect(&Name::of(&exec).id)) {
            Ok((_, answer)) => beside::state(&answer),
            Err(error) if error.is_not_found() => Ok(beside::gone()),
            Err(error) => Err(error),
        }
    }

    fn resize(handle: Handle, exec: String, size: exec::Size) -> Result<(), Error> {
        let runtime = Runtime::of(&handle)?;
        let Name { id, .. } = Name::of(&exec).with_terminal()?;
        let (_, answer) = ask_for(&runtime, &ask::exec_resize(&id, size.columns, size.rows))?;
        crate::done(Doing::Other, &answer)
    }

    fn signal(op: Op, handle: Handle, exec: String, signal: String) -> Result<(), Error> {
        let runtime = Runtime::of(&handle)?;
        let ask = ask::exec_signal(&Name::of(&exec).id, signal::named(&signal)?);
        let (_, answer) = engine::send(&op, runtime.api, &ask)?;
        beside::signalled(&answer)
    }

    fn remove(op: Op, handle: Handle, exec: String) -> Result<(), Error> {
        let runtime = Runtime::of(&handle)?;
        let id = Name::of(&exec).id;
        let ended = engine::send(&op, runtime.api, &ask::exec_signal(&id, "KILL"));
        let ended = or_gone(ended.and_then(|(_, answer)| beside::signalled(&answer)));
        if !is_let_go(&ended) {
            return ended;
        }
        let forgotten = engine::send(&op, runtime.api, &ask::exec_forget(&id));
        or_gone(forgotten.map(|_| ())).and(ended)
    }
}

/// Whether the stream and the place of a program are given back after it was to be ended: also where the
/// host may not signal it, for that does not change, and a terminal's program ends with its stream.
fn is_let_go(ended: &Result<(), Error>) -> bool {
    match ended {
        Ok(()) => true,
        Err(error) => error.code == "signal-permission",
    }
}

/// What ends or removes something is done where there is nothing.
fn or_gone(result: Result<(), Error>) -> Result<(), Error> {
    result.or_else(|error| {
        if error.is_not_found() {
            Ok(())
        } else {
            Err(error)
        }
    })
}

impl signals::Guest for Docker {
    fn send(op: Op, handle: Handle, signal: String) -> Result<(), Error> {
        let runtime = Runtime::of(&handle)?;
        let ask = ask::signal(&runtime.container, signal::named(&signal)?);
        let (_, answer) = engine::send(&op, runtime.api, &ask)?;
        if answer.is_done() {
            return Ok(());
        }
        Err(match answer.status {
            // An engine says so of what has ended and of what never began.
            409 => not_running(),
            _ => refusal::error(Doing::Other, &answer),
        })
    }
}

fn not_running() -> Error {
    Error::new(
        fleet_sdk::ErrorKind::NotFound,
        "not-running",
        "it does not run, so there is nothing to send a signal to: start it first",
    )
}

impl stats::Guest for Docker {
    fn take(handle: Handle) -> Result<stats::Sample, Error> {
        let runtime = Runtime::of(&handle)?;
        let (_, answer) = ask_for(&runtime, &ask::stats(&runtime.container))?;
        usage::sample(&answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_cursor_nothing_else_is_said_of_where_to_begin() {
        let options = |cursor: Option<&str>| logs::Options {
            follow: true,
            since_ms: Some(7_005),
            tail: Some(3),
            cursor: cursor.map(str::to_owned),
        };
        let whole = Part {
            follow: true,
            since_s: Some("7.005".to_owned()),
            tail: Some(3),
        };
        assert_eq!(part(&options(None)), whole);
        let after = Part {
            follow: true,
            ..Part::default()
        };
        assert_eq!(part(&options(Some("x"))), after);
    }

    #[test]
    fn a_program_that_may_not_be_signalled_is_let_go_of() {
        let failed = |code: &str| Err(Error::new(fleet_sdk::ErrorKind::Denied, code, "x"));
        assert!(is_let_go(&Ok(())));
        assert!(is_let_go(&failed("signal-permission")));
        for code in ["foreign-process", "no-endpoint", "refused-by-rule"] {
            assert!(!is_let_go(&failed(code)), "{code}");
        }
    }

    #[test]
    fn what_is_gone_needs_no_end() {
        assert!(or_gone(Err(not_running())).is_ok());
        assert!(or_gone(Err(Error::internal("x", "x"))).is_err());
    }
}
