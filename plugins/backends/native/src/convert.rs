//! Between what a backend is asked and what the import `process` takes and answers.

use fleet_sdk::driver::{Listed, Observation, RunState, Workload};
use fleet_sdk::{Attributes, Error, exec, process, stats};

use crate::config::Config;
use crate::runtime::Runtime;

/// The process a workload asks for.
pub(crate) fn request(workload: Workload, config: Config) -> Result<process::Request, Error> {
    if workload.command.is_empty() {
        return Err(Error::invalid(
            "command-missing",
            "there is no program to run: put one after `--`, or into `command` of the workload file",
        ));
    }
    Ok(process::Request {
        launcher: config.launcher,
        workload: workload.id,
        command: workload.command,
        env: workload.env,
        attributes: vec![("stdin".to_owned(), config.stdin.word().to_owned())],
    })
}

/// What a look at a process says of the runtime. A process the host has no record of is lost: a
/// handle exists only for one that was prepared.
pub(crate) fn observation(look: Result<process::Status, Error>) -> Result<Observation, Error> {
    let status = match look {
        Ok(status) => status,
        Err(error) if error.is_not_found() => {
            return Ok(without_facts(RunState::Lost(error.message)));
        }
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

/// A program beside the process.
pub(crate) fn exec_request(request: exec::Request) -> process::ExecRequest {
    process::ExecRequest {
        command: request.command,
        env: request.env,
        terminal: request.terminal.map(size),
        attributes: request.attributes,
    }
}

pub(crate) fn size(size: exec::Size) -> process::Size {
    process::Size {
        columns: size.columns,
        rows: size.rows,
    }
}

/// What became of it.
pub(crate) fn exec_state(state: process::ExecState) -> exec::State {
    match state {
        process::ExecState::Running => exec::State::Running,
        process::ExecState::Exited(exit) => exec::State::Exited(exec::Exit {
            code: exit.code,
            signal: exit.signal,
            at_ms: exit.at_ms,
        }),
        process::ExecState::Lost(reason) => exec::State::Lost(reason),
        process::ExecState::Other(state) => exec::State::Other(state),
    }
}

/// What a process uses.
pub(crate) fn sample(usage: process::Sample) -> stats::Sample {
    stats::Sample {
        cpu_us: usage.cpu_us,
        memory_bytes: usage.memory_bytes,
        processes: usage.processes,
        read_bytes: usage.read_bytes,
        written_bytes: usage.written_bytes,
        attributes: usage.attributes,
    }
}

/// What is said of a runtime that could not be looked at, so that it spoils no other's answer.
pub(crate) fn unknown(error: Error) -> Observation {
    without_facts(RunState::Unknown(error.message))
}

/// What ends or removes a process is done where there is none.
pub(crate) fn or_gone(result: Result<(), Error>) -> Result<(), Error> {
    result.or_else(|error| {
        if error.is_not_found() {
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// One process of the host's records. They are this node's own, so nobody has to be told apart
/// and `node` stays empty.
pub(crate) fn listed(entry: process::Listed) -> Result<Listed, Error> {
    Ok(Listed {
        handle: Runtime {
            process: entry.ref_,
        }
        .handle()?,
        workload: entry.workload,
        node: String::new(),
        generation: entry.generation,
    })
}

fn without_facts(state: RunState) -> Observation {
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

#[cfg(test)]
mod tests;
