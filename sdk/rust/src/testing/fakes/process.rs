//! Programs that are only written down: says yes to everything that is granted, and remembers it.

use super::denied;
use crate::process::{
    ExecRequest, ExecState, Exit, Listed, Listing, Prepared, Request, Sample, Size, State, Status,
    Stream,
};
use crate::testing::{Host, Program, Seen, with_host};
use crate::{Attributes, Error, Op, Page, Source};

const PID: u32 = 4711;

/// How this machine isolates processes.
///
/// # Errors
/// `denied` where no launcher is granted.
pub fn facilities() -> Result<Attributes, Error> {
    with_host(|host| {
        check(host)?;
        Ok(vec![("isolation".to_owned(), "fake".to_owned())])
    })
}

/// Writes a program down.
///
/// # Errors
/// `denied` where no launcher is granted.
pub fn prepare(op: &Op, request: &Request) -> Result<Prepared, Error> {
    with_host(|host| {
        check(host)?;
        let reference = format!("{}/{}.{}", request.workload, op.generation, op.attempt);
        host.programs
            .entry(reference.clone())
            .or_insert_with(|| Program {
                request: request.clone(),
                generation: op.generation,
                state: State::Prepared,
                started_at_ms: None,
            });
        Ok(Prepared {
            ref_: reference,
            kill_target: None,
        })
    })
}

/// From now on it runs.
///
/// # Errors
/// `not-found`.
pub fn start(_op: &Op, reference: &str) -> Result<Status, Error> {
    with_host(|host| {
        let now_ms = host.now_ms;
        let program = host.program(reference)?;
        if matches!(program.state, State::Prepared) {
            program.state = State::Running;
            program.started_at_ms = Some(now_ms);
        }
        Ok(status(program))
    })
}

/// Notes a signal.
///
/// # Errors
/// `not-found`, also for one that does not run.
pub fn signal(op: &Op, reference: &str, signal: &str) -> Result<(), Error> {
    with_host(|host| {
        running(host, reference)?;
        if host.is_first(op) {
            let sent = (reference.to_owned(), signal.to_owned());
            host.signals.push(sent);
        }
        Ok(())
    })
}

/// Notes a command.
///
/// # Errors
/// `not-found`.
pub fn send(op: &Op, reference: &str, bytes: &[u8]) -> Result<(), Error> {
    with_host(|host| {
        host.program(reference)?;
        if host.is_first(op) {
            host.commands.push((reference.to_owned(), bytes.to_vec()));
        }
        Ok(())
    })
}

/// Ends it.
///
/// # Errors
/// `not-found`.
pub fn kill(_op: &Op, reference: &str) -> Result<(), Error> {
    with_host(|host| {
        let at_ms = Some(host.now_ms);
        let program = host.program(reference)?;
        if !matches!(program.state, State::Exited(_)) {
            program.state = State::Exited(Exit {
                code: 137,
                signal: Some("KILL".to_owned()),
                at_ms,
            });
        }
        Ok(())
    })
}

/// Looks at it.
///
/// # Errors
/// `not-found`.
pub fn inspect(reference: &str) -> Result<Status, Error> {
    with_host(|host| host.program(reference).map(|program| status(program)))
}

/// Forgets it.
///
/// # Errors
/// `not-found`.
pub fn remove(_op: &Op, reference: &str) -> Result<(), Error> {
    with_host(|host| {
        host.program(reference)?;
        host.programs.remove(reference);
        Ok(())
    })
}

/// Those that were prepared.
///
/// # Errors
/// None.
pub fn list(page: &Page) -> Result<Listing, Error> {
    let all = with_host(|host| {
        let listed = host.programs.iter().map(|(reference, program)| Listed {
            ref_: reference.clone(),
            workload: program.request.workload.clone(),
            generation: program.generation,
        });
        listed.collect()
    });
    let (entries, next) = page.of(all, |listed: &Listed| listed.ref_.clone());
    Ok(Listing { entries, next })
}

/// Begins a program beside it, which runs for ever.
///
/// # Errors
/// `not-found`, also for one that does not run.
pub fn exec(op: &Op, reference: &str, _request: &ExecRequest) -> Result<String, Error> {
    with_host(|host| running(host, reference))?;
    Ok(format!("{reference}/{}", op.call))
}

/// What became of a program beside it.
///
/// # Errors
/// None.
pub fn inspect_exec(_exec: &str) -> Result<ExecState, Error> {
    Ok(ExecState::Running)
}

/// Nothing.
///
/// # Errors
/// None.
pub fn resize_exec(_exec: &str, _size: Size) -> Result<(), Error> {
    Ok(())
}

/// Notes a signal.
///
/// # Errors
/// None.
pub fn signal_exec(op: &Op, exec: &str, signal: &str) -> Result<(), Error> {
    with_host(|host| {
        if host.is_first(op) {
            host.signals.push((exec.to_owned(), signal.to_owned()));
        }
    });
    Ok(())
}

/// Nothing.
///
/// # Errors
/// None.
pub fn remove_exec(_op: &Op, _exec: &str) -> Result<(), Error> {
    Ok(())
}

/// The same of each that runs.
///
/// # Errors
/// `not-found`, also for one that does not run.
pub fn usage(reference: &str) -> Result<Sample, Error> {
    with_host(|host| running(host, reference))?;
    Ok(Sample {
        cpu_us: Some(1_000),
        memory_bytes: Some(4_096),
        processes: Some(1),
        read_bytes: None,
        written_bytes: None,
        attributes: Vec::new(),
    })
}

/// Opens a stream of it.
///
/// # Errors
/// `not-found`.
pub fn open(reference: &str, stream: &Stream) -> Result<Source, Error> {
    with_host(|host| {
        host.program(reference)?;
        Ok(host.source(Seen::Process(reference.to_owned(), stream.clone())))
    })
}

fn check(host: &Host) -> Result<(), Error> {
    if host.is_granted {
        Ok(())
    } else {
        Err(denied("process"))
    }
}

fn running(host: &mut Host, reference: &str) -> Result<(), Error> {
    match host.program(reference)?.state {
        State::Running => Ok(()),
        _ => Err(Error::not_found(
            "not-running",
            format!("{reference} does not run"),
        )),
    }
}

fn status(program: &Program) -> Status {
    Status {
        state: program.state.clone(),
        pid: program.started_at_ms.map(|_| PID),
        started_at_ms: program.started_at_ms,
        attributes: Vec::new(),
    }
}
