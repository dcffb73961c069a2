//! What a backend says of a program that it has the host run.
//!
//! A backend that runs programs composes a command line and leaves the rest to [`process`]: the host keeps
//! the program, its output and its exit record across its own restarts.

use crate::driver::{Created, Creation, Facilities, Listed, Listing, Observation, RunState};
use crate::{Attributes, Error, ErrorKind, Handle, Op, Page, Source, logs, process};

/// What the host can do for programs here; unusable, with the line to add, where nothing is granted.
///
/// # Errors
/// Those of the import, but for `denied`.
pub fn facilities() -> Result<Facilities, Error> {
    match process::facilities() {
        Ok(attributes) => Ok(Facilities {
            unusable: None,
            attributes,
        }),
        Err(error) if error.kind == ErrorKind::Denied => Ok(Facilities {
            unusable: Some(error.message),
            attributes: Vec::new(),
        }),
        Err(error) => Err(error),
    }
}

/// The answer to `create`.
#[must_use]
pub fn created(handle: Handle, prepared: process::Prepared) -> Creation {
    Creation::Ready(Created {
        handle,
        kill_target: prepared.kill_target,
    })
}

/// Starts it. One whose start was lost may have run: the next look says so.
///
/// # Errors
/// Those of the import, but for `start-lost`.
pub fn start(op: &Op, reference: &str) -> Result<(), Error> {
    match process::start(op, reference) {
        Err(error) if error.code == "start-lost" => Ok(()),
        started => started.map(|_| ()),
    }
}

/// What a look at it says of the runtime. One the host has no record of is lost: a handle exists only for
/// one that was prepared.
///
/// # Errors
/// Those of the import, but for `not-found`.
pub fn observe(reference: &str) -> Result<Observation, Error> {
    let status = match process::inspect(reference) {
        Ok(status) => status,
        Err(error) if error.is_not_found() => return Ok(bare(RunState::Lost(error.message))),
        Err(error) => return Err(error),
    };
    let mut attributes = status.attributes;
    if let Some(pid) = status.pid {
        set(&mut attributes, "pid", pid.to_string());
    }
    let state = match status.state {
        process::State::Prepared => RunState::Created,
        process::State::Running => RunState::Running,
        process::State::Exited(exit) => {
            if let Some(signal) = &exit.signal {
                set(&mut attributes, "signal", signal.clone());
            }
            RunState::Exited(exit)
        }
        process::State::Lost(reason) => RunState::Lost(reason),
        process::State::Other(state) => RunState::Other(state),
    };
    Ok(Observation {
        state,
        started_at_ms: status.started_at_ms,
        attributes,
    })
}

/// Looks at each, in order; one that cannot be looked at spoils no other's answer.
#[must_use]
pub fn observe_each(
    handles: Vec<Handle>,
    look: impl Fn(Handle) -> Result<Observation, Error>,
) -> Vec<Observation> {
    let one = |handle| look(handle).unwrap_or_else(|error| bare(RunState::Unknown(error.message)));
    handles.into_iter().map(one).collect()
}

/// The host's records of this plugin's programs. They are this node's own, so `node` stays empty.
///
/// # Errors
/// Those of the import and of `handle_of`.
pub fn listing(
    page: &Page,
    handle_of: impl Fn(String) -> Result<Handle, Error>,
) -> Result<Listing, Error> {
    let found = process::list(page)?;
    let entries = found.entries.into_iter().map(|entry| {
        Ok(Listed {
            handle: handle_of(entry.ref_)?,
            workload: entry.workload,
            node: String::new(),
            generation: entry.generation,
        })
    });
    Ok(Listing {
        entries: entries.collect::<Result<_, Error>>()?,
        next: found.next,
    })
}

/// The answer to `watch`: a source that closes when the program has ended.
///
/// # Errors
/// Those of the import.
pub fn end(reference: &str) -> Result<Option<Source>, Error> {
    process::open(reference, &process::Stream::End).map(Some)
}

/// The answer to `logs::open`: what the program printed.
///
/// # Errors
/// Those of the import.
pub fn output(reference: &str, options: logs::Options) -> Result<Source, Error> {
    process::open(reference, &process::Stream::Output(options))
}

fn bare(state: RunState) -> Observation {
    Observation {
        state,
        started_at_ms: None,
        attributes: Vec::new(),
    }
}

/// Adds a fact, in place of what the host may say under the same name.
fn set(attributes: &mut Attributes, name: &str, value: String) {
    attributes.retain(|(known, _)| known != name);
    attributes.push((name.to_owned(), value));
}
