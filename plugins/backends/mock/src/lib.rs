//! The backend `mock`: workloads that run nothing and play the life their `[config]` plans.
//!
//! For tests, and for a first try without a program at hand. It touches nothing: what it knows of
//! a workload is the plan and the times in its handle, and a life goes on while nobody looks. It
//! can also misbehave as a plugin: by plan ([`fault`]), which is how a host's limits are tried, and by
//! an operator's setting ([`settings`]), which is how a conformance kit is.

mod config;
mod exec;
mod fault;
mod life;
mod offers;
mod output;
mod pending;
mod register;
mod runtime;
mod settings;
mod signal;
mod usage;

use fleet_sdk::driver::{
    Created, Creation, Description, Facilities, Listing, Observation, RunState, Workload,
};
use fleet_sdk::lines::{Line, Origin};
use fleet_sdk::{Error, ErrorKind, Handle, Op, Page, Source, clock, driver, lines};

use crate::config::{Call, Config};
use crate::fault::{Conduct, FIRST_ATTEMPT};
use crate::life::Life;
use crate::runtime::Runtime;
use crate::settings::{Bug, Settings};
use crate::signal::Effect;

struct Mock;

impl driver::Guest for Mock {
    fn describe() -> Result<Description, Error> {
        Ok(Description {
            name: "mock".to_owned(),
            version: fleet_sdk::version!(),
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
        let settings = Settings::get()?;
        if settings.traps_from_ms.is_some() && settings.traps(clock::now()?) {
            fault::trap(Call::Create);
        }
        let mut config = match workload.config::<Config>() {
            Err(_) if settings.has(Bug::ConfigAny) => Config::default(),
            config => config?,
        };
        config.check()?;
        if fault::commit(&config, Call::Create, op.attempt)? == Conduct::Garbage {
            return Ok(Creation::Other("garbage".to_owned()));
        }
        if let Some(progress) = pending::progress(&config, &workload.id, clock::now()?) {
            return Ok(Creation::Pending(progress));
        }
        if settings.has(Bug::ExitCode) && config.run_ms.is_some() {
            config.exit_code = Some(config.exit_code.unwrap_or(0).wrapping_add(1));
        }
        let entry = settings
            .listed
            .then(|| register::enter(&op, &workload.id))
            .transpose()?;
        let runtime = Runtime {
            config,
            life: Life::default(),
            settings,
            entry,
        };
        Ok(Creation::Ready(Created {
            handle: runtime.handle()?,
            kill_target: None,
        }))
    }

    fn start(op: Op, handle: Handle) -> Result<Handle, Error> {
        change(Call::Start, &op, &handle, |life, runtime, now_ms| {
            let life = if runtime.settings.has(Bug::StartAgain) {
                Life::default()
            } else {
                life
            };
            Ok(life.start(&runtime.config, &op.id, now_ms))
        })
    }

    fn stop(op: Op, handle: Handle, signal: String) -> Result<Handle, Error> {
        change(Call::Stop, &op, &handle, |life, runtime, now_ms| {
            if runtime.settings.has(Bug::StopWaits) {
                fault::spin();
            }
            match signal::effect(&signal)? {
                Effect::Ends(signal) => Ok(life.stop(&runtime.config, signal, now_ms)),
                Effect::Nothing => Ok(life),
            }
        })
    }

    fn kill(op: Op, handle: Handle) -> Result<Handle, Error> {
        change(Call::Kill, &op, &handle, |life, runtime, now_ms| {
            let config = &runtime.config;
            if config.ignore_stop && runtime.settings.has(Bug::KillIgnored) {
                return Ok(life);
            }
            Ok(life.kill(config, now_ms))
        })
    }

    /// There is nothing to remove but an entry in the register, so a handle that cannot be read is no
    /// hindrance.
    fn destroy(op: Op, handle: Handle) -> Result<(), Error> {
        let Ok(runtime) = Runtime::of(&handle) else {
            return Ok(());
        };
        if fault::commit(&runtime.config, Call::Destroy, op.attempt)? == Conduct::Garbage {
            return Err(fault::error());
        }
        match &runtime.entry {
            Some(entry) if runtime.settings.has(Bug::DestroyGone) && !register::holds(entry)? => {
                Err(Error::new(
                    ErrorKind::Conflict,
                    "gone",
                    "there is nothing to remove",
                ))
            }
            Some(entry) if !runtime.settings.has(Bug::LeavesBehind) => register::leave(&op, entry),
            _ => Ok(()),
        }
    }

    fn inspect(handle: Handle) -> Result<Observation, Error> {
        let Runtime { config, life, .. } = Runtime::of(&handle)?;
        match fault::commit(&config, Call::Inspect, FIRST_ATTEMPT)? {
            Conduct::Honest => Ok(life.look(&config, clock::now()?)),
            Conduct::Garbage => Ok(fault::observation()),
        }
    }

    fn recover(handles: Vec<Handle>) -> Result<Vec<Observation>, Error> {
        let (now_ms, settings) = (clock::now()?, Settings::get()?);
        let mut observations = Vec::with_capacity(handles.len());
        for handle in &handles {
            let runtime = match Runtime::of(handle) {
                Ok(runtime) => runtime,
                Err(_) if settings.has(Bug::RecoverClaims) => {
                    observations.push(bare(RunState::Running));
                    continue;
                }
                Err(error) => {
                    observations.push(bare(RunState::Unknown(error.message)));
                    continue;
                }
            };
            if fault::commit(&runtime.config, Call::Recover, FIRST_ATTEMPT)? == Conduct::Garbage {
                return Ok(Vec::new());
            }
            observations.push(runtime.life.look(&runtime.config, now_ms));
        }
        if settings.has(Bug::RecoverOrder) {
            observations.reverse();
        }
        Ok(observations)
    }

    /// Without a register nothing is on the machine that a handle would not know.
    fn list(mut page: Page) -> Result<Listing, Error> {
        let settings = Settings::get()?;
        if !settings.listed {
            return Ok(Listing {
                entries: Vec::new(),
                next: None,
            });
        }
        if settings.has(Bug::ListCursor) {
            page.cursor = None;
        }
        register::page(&page, settings)
    }

    /// One line at the time of the next change, if one is planned.
    fn watch(handle: Handle) -> Result<Option<Source>, Error> {
        let Runtime {
            config,
            life,
            settings,
            ..
        } = Runtime::of(&handle)?;
        if fault::commit(&config, Call::Watch, FIRST_ATTEMPT)? == Conduct::Garbage {
            return Err(fault::error());
        }
        let time_ms = match life.next_change_ms(&config, clock::now()?) {
            Some(_) if settings.has(Bug::WatchSilent) => u64::MAX,
            Some(time_ms) => time_ms,
            None => return Ok(None),
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

/// The handle after a call that changes a life.
fn change(
    call: Call,
    op: &Op,
    handle: &Handle,
    act: impl FnOnce(Life, &Runtime, u64) -> Result<Life, Error>,
) -> Result<Handle, Error> {
    let runtime = Runtime::of(handle)?;
    if fault::commit(&runtime.config, call, op.attempt)? == Conduct::Garbage {
        return Ok(fault::handle());
    }
    let life = act(runtime.life.clone(), &runtime, clock::now()?)?;
    Runtime { life, ..runtime }.handle()
}

fn bare(state: RunState) -> Observation {
    Observation {
        state,
        started_at_ms: None,
        attributes: Vec::new(),
    }
}

fleet_sdk::export!(Mock with exec, input, signals, stats);

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
