//! A harness for tables: a workload's life in words.

use serde_json::Value;

use super::host::{reset, with_host};
use crate::driver::{Creation, Guest, Limits, RunState, Workload};
use crate::{Error, ErrorKind, Handle, Op, Page};

const WORKLOAD: &str = "wl_00000000000000000000000001";

/// An op about the workload of these tests.
#[must_use]
pub fn op(verb: &str) -> Op {
    let item = format!("workload/{WORKLOAD}");
    Op {
        id: format!("{item}@1.1:{verb}#"),
        item,
        generation: 1,
        attempt: 1,
        verb: verb.to_owned(),
        call: String::new(),
    }
}

/// A page of a list.
#[must_use]
pub fn page(limit: u32, cursor: Option<&str>) -> Page {
    Page {
        cursor: cursor.map(str::to_owned),
        limit,
    }
}

/// The workload of these tests.
#[must_use]
pub fn workload(command: &[&str], config: &Value) -> Workload {
    Workload {
        id: WORKLOAD.to_owned(),
        name: "test".to_owned(),
        node: "nd_00000000000000000000000001".to_owned(),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        env: Vec::new(),
        ports: Vec::new(),
        labels: Vec::new(),
        config: config.to_string(),
        limits: Limits {
            cpu_millis: None,
            memory_bytes: None,
            processes: None,
            attributes: Vec::new(),
        },
        attributes: Vec::new(),
    }
}

/// Plays each row on a host of its own and compares what comes of it: name, `[config]`, steps, outcome.
///
/// Steps: `create`, `start`, `stop`, `kill`, `destroy`, and `end=CODE`, which ends the program by itself. Each
/// that changes something is done twice with the same op, and must answer the same. Outcomes: `created`,
/// `running`, `exited CODE`, `lost`, `unknown`, `gone` (after `destroy`), or `error KIND CODE` of the first
/// step that fails.
///
/// # Panics
/// Where something else comes of a row; the message lists all of them.
pub fn table<B: Guest>(rows: &[(&str, Value, &str, &str)]) {
    let mut wrong = String::new();
    for (name, config, steps, want) in rows {
        reset();
        let came = play::<B>(config, steps).unwrap_or_else(|error| told(&error));
        if came != *want {
            wrong.push_str(&format!("{name}: wanted `{want}`, came `{came}`\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn play<B: Guest>(config: &Value, steps: &str) -> Result<String, Error> {
    let mut handle: Option<Handle> = None;
    for step in steps.split_whitespace() {
        let known = || handle.clone().expect("`create` comes first");
        handle = Some(match step {
            "create" => twice(step, || created::<B>(config))?,
            "start" => twice(step, || B::start(op(step), known()))?,
            "stop" => twice(step, || B::stop(op(step), known(), "TERM".to_owned()))?,
            "kill" => twice(step, || B::kill(op(step), known()))?,
            "destroy" => {
                twice(step, || B::destroy(op(step), known()))?;
                return Ok("gone".to_owned());
            }
            _ => {
                end(step);
                known()
            }
        });
    }
    let handle = handle.expect("`create` comes first");
    Ok(word(B::inspect(handle)?.state))
}

fn created<B: Guest>(config: &Value) -> Result<Handle, Error> {
    match B::create(op("create"), workload(&["true"], config))? {
        Creation::Ready(created) => Ok(created.handle),
        Creation::Pending(progress) => panic!("`create` is pending: {}", progress.message),
        Creation::Other(other) => panic!("`create` answered `{other}`"),
    }
}

/// Ends all programs by themselves.
fn end(step: &str) {
    let code = step.strip_prefix("end=").and_then(|code| code.parse().ok());
    let code = code.unwrap_or_else(|| panic!("there is no step `{step}`"));
    with_host(|host| {
        let names: Vec<String> = host.programs.keys().cloned().collect();
        for name in names {
            host.end(&name, code);
        }
    });
}

fn twice<T: PartialEq + std::fmt::Debug>(
    step: &str,
    work: impl Fn() -> Result<T, Error>,
) -> Result<T, Error> {
    let first = work()?;
    let again = work()?;
    assert_eq!(first, again, "`{step}` again with the same op");
    Ok(first)
}

fn word(state: RunState) -> String {
    match state {
        RunState::Created => "created".to_owned(),
        RunState::Running => "running".to_owned(),
        RunState::Exited(exit) => format!("exited {}", exit.code),
        RunState::Lost(_) => "lost".to_owned(),
        RunState::Unknown(_) => "unknown".to_owned(),
        RunState::Other(state) => format!("other {state}"),
    }
}

fn told(error: &Error) -> String {
    let kind = match error.kind {
        ErrorKind::Invalid => "invalid",
        ErrorKind::NotFound => "not-found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Denied => "denied",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Deadline => "deadline",
        ErrorKind::Exhausted => "exhausted",
        ErrorKind::Internal => "internal",
        ErrorKind::Other => "other",
    };
    format!("error {kind} {}", error.code)
}
