//! The types of `fleet:host/process`.

use std::collections::BTreeMap;

use fleet_capability::{
    ListedProcess, Open, OutputOptions, Prepared, ProcessState, ProcessStatus, Request,
};
use fleet_model::driver::{Exit, KillTarget};
use fleet_model::{Error, Name, WorkloadId};

use crate::bindings::fleet::host::process as wit;

pub(crate) fn request(
    launcher: Name,
    workload: WorkloadId,
    request: wit::Request,
) -> Result<Request, Error> {
    let mut env = BTreeMap::new();
    for (name, value) in request.env {
        if env.insert(name.clone(), value).is_some() {
            return Err(Error::invalid(
                "variable-twice",
                format!("the variable `{name}` is set twice"),
            ));
        }
    }
    Ok(Request {
        launcher,
        workload,
        command: request.command,
        env,
    })
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
        wit::Stream::Other(what) => Err(Error::unsupported(
            "unknown-stream",
            format!(
                "this host has no stream `{}` of a process",
                super::text(what, 80)
            ),
        )),
    }
}
