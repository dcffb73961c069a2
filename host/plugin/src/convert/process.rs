//! The types of `fleet:host/process`.

use std::collections::BTreeMap;

use fleet_capability::{
    ExecRequest, ListedProcess, Open, OutputOptions, Prepared, ProcessState, ProcessStatus,
    Request, Stdin,
};
use fleet_model::driver::{Exit, KillTarget};
use fleet_model::exec::{ExecState, TerminalSize};
use fleet_model::stats::Usage;
use fleet_model::{Error, Name, WorkloadId};

use crate::bindings::fleet::host::process as wit;
use crate::terms::Terms;

/// What the guest asks for, on the terms of the workload it was given.
pub(crate) fn request(
    launcher: Name,
    workload: WorkloadId,
    request: wit::Request,
    terms: &Terms,
) -> Result<Request, Error> {
    let env = environment(request.env)?;
    Ok(Request {
        launcher,
        workload,
        command: request.command,
        secrets: terms.secrets_in(&env),
        env,
        limits: terms.limits.clone(),
        stdin: stdin(&request.attributes)?,
    })
}

/// What the guest asks for beside a process.
pub(crate) fn exec_request(request: wit::ExecRequest) -> Result<ExecRequest, Error> {
    Ok(ExecRequest {
        command: request.command,
        env: environment(request.env)?,
        terminal: request.terminal.map(size),
        stdin: stdin(&request.attributes)?,
    })
}

pub(crate) fn size(size: wit::Size) -> TerminalSize {
    TerminalSize {
        columns: size.columns,
        rows: size.rows,
    }
}

fn environment(variables: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Error> {
    let mut env = BTreeMap::new();
    for (name, value) in variables {
        if env.insert(name.clone(), value).is_some() {
            return Err(Error::invalid(
                "variable-twice",
                format!("the variable `{name}` is set twice"),
            ));
        }
    }
    Ok(env)
}

/// A pipe, where nothing is said.
fn stdin(attributes: &[(String, String)]) -> Result<Stdin, Error> {
    let said = attributes.iter().find(|(name, _)| name == "stdin");
    match said.map(|(_, value)| value.as_str()) {
        None => Ok(Stdin::default()),
        Some("pipe") => Ok(Stdin::Pipe),
        Some("null") => Ok(Stdin::Null),
        Some(other) => Err(Error::invalid(
            "unknown-stdin",
            format!(
                "`stdin` is `{}`; this host knows `pipe` and `null`",
                super::text(other.to_owned(), 80)
            ),
        )),
    }
}

pub(crate) fn prepared(prepared: Prepared) -> wit::Prepared {
    wit::Prepared {
        ref_: prepared.reference,
        kill_target: prepared.kill_target.map(kill_target),
    }
}

fn kill_target(target: KillTarget) -> wit::KillTarget {
    match target {
        KillTarget::Cgroup { path } => wit::KillTarget::Cgroup(path),
        KillTarget::Process { pid, start_ticks } => wit::KillTarget::Process((pid, start_ticks)),
        KillTarget::Other { text } => wit::KillTarget::Other(text),
    }
}

pub(crate) fn status(status: ProcessStatus) -> wit::Status {
    wit::Status {
        state: match status.state {
            ProcessState::Prepared => wit::State::Prepared,
            ProcessState::Running => wit::State::Running,
            ProcessState::Exited(exit) => wit::State::Exited(self::exit(exit)),
            ProcessState::Lost(reason) => wit::State::Lost(reason),
        },
        pid: status.pid,
        started_at_ms: status.started_at_ms,
        attributes: status.attributes.into_iter().collect(),
    }
}

fn exit(exit: Exit) -> wit::Exit {
    wit::Exit {
        code: exit.code,
        signal: exit.signal,
        at_ms: exit.at_ms,
    }
}

pub(crate) fn exec_state(state: ExecState) -> wit::ExecState {
    match state {
        ExecState::Running => wit::ExecState::Running,
        ExecState::Exited { exit, .. } => wit::ExecState::Exited(self::exit(exit)),
        ExecState::Lost { reason } => wit::ExecState::Lost(reason),
    }
}

pub(crate) fn usage(usage: Usage) -> wit::Sample {
    wit::Sample {
        cpu_us: usage.cpu_us,
        memory_bytes: usage.memory_bytes,
        processes: usage.processes,
        read_bytes: usage.read_bytes,
        written_bytes: usage.written_bytes,
        attributes: Vec::new(),
    }
}

pub(crate) fn listing((entries, next): (Vec<ListedProcess>, Option<String>)) -> wit::Listing {
    let entries = entries.into_iter().map(|entry| wit::Listed {
        ref_: entry.reference,
        workload: entry.workload,
        generation: entry.generation,
    });
    wit::Listing {
        entries: entries.collect(),
        next,
    }
}

pub(crate) fn open(stream: wit::Stream) -> Result<Open, Error> {
    match stream {
        wit::Stream::Output(options) => Ok(Open::Output(OutputOptions {
            follow: options.follow,
            since_ms: options.since_ms,
            tail: options.tail,
            cursor: options.cursor,
        })),
        wit::Stream::End => Ok(Open::End),
        wit::Stream::Exec(options) => Ok(Open::Exec {
            exec: options.exec,
            after: options.cursor.as_deref().map_or(Ok(0), offset)?,
        }),
        wit::Stream::Other(what) => Err(Error::unsupported(
            "unknown-stream",
            format!(
                "this host has no stream `{}` of a process",
                super::text(what, 80)
            ),
        )),
    }
}

fn offset(cursor: &str) -> Result<u64, Error> {
    cursor.parse().map_err(|_| {
        let shown = super::text(cursor.to_owned(), 80);
        Error::invalid(
            "bad-cursor",
            format!("`{shown}` is no place of an exec's output: give a number of bytes"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_a_pipe_unless_it_is_to_have_none() {
        let said = |value: &str| vec![("stdin".to_owned(), value.to_owned())];
        assert_eq!(stdin(&[]).unwrap(), Stdin::Pipe);
        assert_eq!(stdin(&said("pipe")).unwrap(), Stdin::Pipe);
        assert_eq!(stdin(&said("null")).unwrap(), Stdin::Null);
        let error = stdin(&said("file")).unwrap_err();
        assert!(error.message.contains("`file`") && error.message.contains("`null`"));
        let other = [("color".to_owned(), "red".to_owned())];
        assert_eq!(stdin(&other).unwrap(), Stdin::Pipe);
    }
}
