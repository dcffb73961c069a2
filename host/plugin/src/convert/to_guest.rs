//! What the host tells a guest.

use fleet_capability::OutputOptions;
use fleet_model::driver::{Handle, Port, Wanted, Workload};
use fleet_model::exec::{ExecInput, ExecSpec, TerminalSize};
use fleet_model::quantity::{Cpu, Size};
use fleet_model::spec::Limits;
use fleet_model::{Error, ErrorKind, Op};

use crate::bindings::exports::fleet::backend::{driver, exec, logs};
use crate::bindings::fleet::common::types as wit;

pub(crate) fn op(op: &Op) -> wit::Op {
    wit::Op {
        id: op.to_string(),
        item: op.item.to_string(),
        generation: op.generation.0,
        attempt: op.attempt.0,
        verb: op.verb.as_str().to_owned(),
        call: op.call.clone(),
    }
}

pub(crate) fn handle(handle: &Handle) -> wit::Handle {
    wit::Handle {
        schema: handle.schema,
        opaque: handle.opaque.clone(),
    }
}

pub(crate) fn workload(workload: &Workload) -> driver::Workload {
    driver::Workload {
        id: workload.id.to_string(),
        name: workload.name.to_string(),
        node: workload.node.to_string(),
        command: workload.command.clone(),
        env: workload.env.clone().into_iter().collect(),
        ports: workload.ports.iter().map(port).collect(),
        labels: workload.labels.clone().into_iter().collect(),
        config: workload.config.to_string(),
        limits: limits(&workload.limits),
        attributes: match workload.wanted {
            Wanted::Yes => Vec::new(),
            Wanted::No => vec![("wanted".to_owned(), "no".to_owned())],
        },
    }
}

fn limits(limits: &Limits) -> driver::Limits {
    driver::Limits {
        cpu_millis: limits.cpu.map(Cpu::as_millis),
        memory_bytes: limits.memory.map(Size::as_bytes),
        processes: limits.processes,
        attributes: Vec::new(),
    }
}

fn port(port: &Port) -> driver::Port {
    driver::Port {
        name: port.name.to_string(),
        inside: port.inside,
        host: port.host,
    }
}

pub(crate) fn page(cursor: Option<&str>, limit: u32) -> wit::Page {
    wit::Page {
        cursor: cursor.map(str::to_owned),
        limit,
    }
}

pub(crate) fn log_options(options: &OutputOptions) -> logs::Options {
    logs::Options {
        follow: options.follow,
        since_ms: options.since_ms,
        tail: options.tail,
        cursor: options.cursor.clone(),
    }
}

pub(crate) fn exec(spec: &ExecSpec) -> exec::Request {
    let stdin = match spec.input {
        ExecInput::Null => "null",
        ExecInput::Stream => "pipe",
    };
    exec::Request {
        command: spec.command.clone(),
        env: spec.env.clone().into_iter().collect(),
        terminal: spec.terminal.map(size),
        attributes: vec![("stdin".to_owned(), stdin.to_owned())],
    }
}

pub(crate) fn size(size: TerminalSize) -> exec::Size {
    exec::Size {
        columns: size.columns,
        rows: size.rows,
    }
}

pub(crate) fn error(error: Error) -> wit::Error {
    wit::Error {
        kind: kind(error.kind),
        code: error.code,
        message: error.message,
        retry_after_ms: error.retry_after_ms,
        details: error.details.into_iter().collect(),
    }
}

fn kind(kind: ErrorKind) -> wit::ErrorKind {
    match kind {
        ErrorKind::Invalid => wit::ErrorKind::Invalid,
        ErrorKind::NotFound => wit::ErrorKind::NotFound,
        ErrorKind::Conflict => wit::ErrorKind::Conflict,
        ErrorKind::Denied => wit::ErrorKind::Denied,
        ErrorKind::Unsupported => wit::ErrorKind::Unsupported,
        ErrorKind::Unavailable => wit::ErrorKind::Unavailable,
        ErrorKind::Deadline => wit::ErrorKind::Deadline,
        ErrorKind::Exhausted => wit::ErrorKind::Exhausted,
        ErrorKind::Internal => wit::ErrorKind::Internal,
        ErrorKind::Other => wit::ErrorKind::Other,
    }
}
