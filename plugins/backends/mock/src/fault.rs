//! Faults of the plugin itself, for tests of whoever calls it.

use std::hint::{black_box, spin_loop};
use std::time::Duration;

use fleet_sdk::driver::{Observation, RunState};
use fleet_sdk::{Error, ErrorKind, Handle, log};

use crate::config::{Call, Config, Fault};

/// How a call that does return is to answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Conduct {
    /// As it is.
    Honest,
    /// What no caller can use.
    Garbage,
}

/// What a call that has no op counts as.
pub(crate) const FIRST_ATTEMPT: u64 = 1;

/// Does what is planned against this call: commits a fault, or refuses.
pub(crate) fn commit(config: &Config, call: Call, attempt: u64) -> Result<Conduct, Error> {
    let fault = config.fault.filter(|_| config.fault_in == Some(call));
    let conduct = fault.map_or(Ok(Conduct::Honest), |fault| misbehave(call, fault))?;
    if let Some(refusal) = config.refusal(call) {
        refusal.at(attempt)?;
    }
    Ok(conduct)
}

fn misbehave(call: Call, fault: Fault) -> Result<Conduct, Error> {
    log::write(
        log::Level::Warn,
        &format!("planned fault in {call:?}: {fault:?}"),
    );
    match fault {
        Fault::Trap => trap(call),
        Fault::Spin => spin(),
        Fault::Allocate => allocate(),
        Fault::Hang => hang(),
        Fault::Internal => Err(Error::internal(
            "planned-fault",
            "planned in the workload's [config]: remove `fault` from it",
        )),
        Fault::Garbage => Ok(Conduct::Garbage),
        Fault::Flood => {
            flood();
            Ok(Conduct::Honest)
        }
    }
}

/// Computes for ever.
pub(crate) fn spin() -> ! {
    loop {
        spin_loop();
    }
}

/// A megabyte of lines: more than any host writes of one call.
fn flood() {
    let line = "planned flood ".repeat(8);
    for _ in 0..10_000 {
        log::write(log::Level::Info, &line);
    }
}

#[expect(clippy::panic, reason = "that is the fault")]
pub(crate) fn trap(call: Call) -> ! {
    panic!("planned fault in {call:?}")
}

fn allocate() -> ! {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "waiting in a call of the host is the fault"
)]
fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(24 * 60 * 60));
    }
}

/// A handle that nobody can read.
pub(crate) fn handle() -> Handle {
    Handle {
        schema: u32::MAX,
        opaque: vec![0xff; 16],
    }
}

/// A look that says nothing a caller knows.
pub(crate) fn observation() -> Observation {
    Observation {
        state: RunState::Other("garbage".to_owned()),
        started_at_ms: Some(u64::MAX),
        attributes: vec![(String::new(), "\0".to_owned())],
    }
}

/// An error that says nothing.
pub(crate) fn error() -> Error {
    Error::new(ErrorKind::Other, "", "\0")
}
