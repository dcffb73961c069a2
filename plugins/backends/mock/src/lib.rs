//! The backend `mock`: workloads that run nothing and play the life their `[config]` plans.
//!
//! For tests, and for a first try without a program at hand. It touches nothing: what it knows of
//! a workload is the plan and the times in its handle, and a life goes on while nobody looks. It
//! can also misbehave as a plugin, which is how a host's limits are tried.

mod config;
mod fault;
mod life;
mod output;
mod pending;
mod runtime;
mod signal;

use fleet_sdk::driver::{
    Created, Creation, Description, Facilities, Listing, Observation, RunState, Workload,
};
use fleet_sdk::lines::{Line, Origin};
use fleet_sdk::{Error, ErrorKind, Handle, Op, Page, Source, clock, driver, input, lines, logs};

use crate::config::{Call, Config};
use crate::fault::{Conduct, FIRST_ATTEMPT};
use crate::life::Life;
use crate::runtime::Runtime;
use crate::signal::Effect;

struct Mock;

impl driver::Guest for Mock {
    fn describe() -> Result<Description, Error> {
        Ok(Description {
            name: "mock".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            handle_schema: runtime::SCHEMA,
            reads: vec![runtime::SCHEMA],
            config_schema: config::SCHEMA.to_owned(),
            attributes: Vec::new(),
        })
    }

    fn fingerprint() -> Result<Facilities, Error> {
        let unusable = match clock::now() {
            Ok(_) => None,
            Err(error) if error.kind == ErrorKind::Denied => Some(error.message),
            Err(error) => return Err(error),
        };
        Ok(Facilities {
            unusable,
            attributes: Vec::new(),
        })
    }

    fn create(op: Op, workload: Workload) -> Result<Creation, Error> {
        let config: Config = workload.config()?;
        config.check()?;
        if fault::commit(&config, Call::Create, op.attempt)? == Conduct::Garbage {
            return Ok(Creation::Other("garbage".to_owned()));
        }
        if let Some(progress) = pending::progress(&config, &workload.id, clock::now()?) {
            return Ok(Creation::Pending(progress));
        }
        let handle = Runtime {
            config,
            life: Life::default(),
        }
        .handle()?;
        Ok(Creation::Ready(Created {
            handle,
            kill_target: None,
        }))
    }

    fn start(op: Op, handle: Handle) -> Result<Handle, Error> {
        change(Call::Start, &op, &handle, |life, config, now_ms| {
            Ok(life.start(config, &op.id, now_ms))
        })
    }

    fn stop(op: Op, handle: Handle, signal: String) -> Result<Handle, Error> {
        change(
            Call::Stop,
            &op,
            &handle,
            |life, config, now_ms| match signal::effect(&signal) {
                Some(Effect::Ends(signal)) => Ok(life.stop(config, signal, now_ms)),
                Some(Effect::Nothing) => Ok(life),
                None => Err(Error::invalid(
                    "unknown-signal",
                    format!("`{signal}` is no signal: use a name without SIG, like `TERM`"),
                )),
            },
        )
    }

    fn kill(op: Op, handle: Handle) -> Result<Handle, Error> {
        change(Call::Kill, &op, &handle, |life, config, now_ms| {
            Ok(life.kill(config, now_ms))
        })
    }

    /// There is nothing to remove, so a handle that cannot be read is no hindrance.
    fn destroy(op: Op, handle: Handle) -> Result<(), Error> {
        let Ok(runtime) = Runtime::of(&handle) else {
            return Ok(());
        };
        match fault::commit(&runtime.config, Call::Destroy, op.attempt)? {
            Conduct::Honest => Ok(()),
            Conduct::Garbage => Err(fault::error()),
        }
    }

    fn inspect(handle: Handle) -> Result<Observation, Error> {
        let Runtime { config, life } = Runtime::of(&handle)?;
        match fault::commit(&config, Call::Inspect, FIRST_ATTEMPT)? {
            Conduct::Honest => Ok(life.look(&config, clock::now()?)),
            Conduct::Garbage => Ok(fault::observation()),
        }
    }

    fn recover(handles: Vec<Handle>) -> Result<Vec<Observation>, Error> {
        let now_ms = clock::now()?;
        let mut observations = Vec::with_capacity(handles.len());
        for handle in &handles {
            let runtime = match Runtime::of(handle) {
                Ok(runtime) => runtime,
                Err(error) => {
                    observations.push(unknown(error));
                    continue;
                }
            };
            if fault::commit(&runtime.config, Call::Recover, FIRST_ATTEMPT)? == Conduct::Garbage {
                return Ok(Vec::new());
            }
            observations.push(runtime.life.look(&runtime.config, now_ms));
        }
        Ok(observations)
    }

    /// Nothing is on the machine that a handle would not know.
    fn list(_page: Page) -> Result<Listing, Error> {
        Ok(Listing {
            entries: Vec::new(),
            next: None,
        })
    }

    /// One line at the time of the next change, if one is planned.
    fn watch(handle: Handle) -> Result<Option<Source>, Error> {
        let Runtime { config, life } = Runtime::of(&handle)?;
        if fault::commit(&config, Call::Watch, FIRST_ATTEMPT)? == Conduct::Garbage {
            return Err(fault::error());
        }
        let Some(time_ms) = life.next_change_ms(&config, clock::now()?) else {
            return Ok(None);
        };
        let change = Line {
            time_ms,
            origin: Origin::Stdout,
            bytes: Vec::new(),
            cursor: String::new(),
        };
        lines::open(&[change]).map(Some)
    }
}

impl logs::Guest for Mock {
    fn open(handle: Handle, options: logs::Options) -> Result<Source, Error> {
        let Runtime { config, life } = Runtime::of(&handle)?;
        if fault::commit(&config, Call::Logs, FIRST_ATTEMPT)? == Conduct::Garbage {
            return Err(fault::error());
        }
        lines::open(&output::lines(&config, &life, &options, clock::now()?)?)
    }
}

impl input::Guest for Mock {
    /// A running life takes every command and does nothing about it.
    fn send(op: Op, handle: Handle, _bytes: Vec<u8>) -> Result<(), Error> {
        let Runtime { config, life } = Runtime::of(&handle)?;
        if fault::commit(&config, Call::Send, op.attempt)? == Conduct::Garbage {
            return Err(fault::error());
        }
        match life.look(&config, clock::now()?).state {
            RunState::Running => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Conflict,
                "not-running",
                "it does not run, so it reads no commands: start it first",
            )),
        }
    }
}

/// The handle after a call that changes a life.
fn change(
    call: Call,
    op: &Op,
    handle: &Handle,
    act: impl FnOnce(Life, &Config, u64) -> Result<Life, Error>,
) -> Result<Handle, Error> {
    let Runtime { config, life } = Runtime::of(handle)?;
    if fault::commit(&config, call, op.attempt)? == Conduct::Garbage {
        return Ok(fault::handle());
    }
    let life = act(life, &config, clock::now()?)?;
    Runtime { config, life }.handle()
}

fn unknown(error: Error) -> Observation {
    let state = RunState::Unknown(error.message);
    Observation {
        state,
        started_at_ms: None,
        attributes: Vec::new(),
    }
}

fleet_sdk::export!(Mock with input);

#[cfg(test)]
mod tests {
    use driver::Guest;

    use super::*;

    #[test]
    fn the_description_agrees_with_the_manifest() {
        let description = Mock::describe().unwrap();
        let manifest = include_str!("../mock.toml");
        for (key, value) in [("name", description.name), ("version", description.version)] {
            let line = format!("{key} = \"{value}\"");
            assert!(
                manifest.lines().any(|found| found == line),
                "no line `{line}`"
            );
        }
        assert!(description.reads.contains(&description.handle_schema));
    }
}
