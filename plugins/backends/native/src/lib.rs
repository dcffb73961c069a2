//! The backend `native`: programs as processes of the machine.
//!
//! It decides nothing about processes: what may run is the operator's business (launchers), and
//! keeping a program, its output and its exit record across restarts is the host's. So each call
//! is one call of the import `process`, and the handle is the name the host gave the process.

mod config;
mod convert;
mod runtime;

use fleet_sdk::driver::{
    Created, Creation, Description, Facilities, Listing, Observation, Workload,
};
use fleet_sdk::{
    Error, ErrorKind, Handle, Op, Page, Source, driver, exec, input, logs, process, signals, stats,
};

use crate::config::Config;
use crate::runtime::Runtime;

struct Native;

impl driver::Guest for Native {
    fn describe() -> Result<Description, Error> {
        Ok(Description {
            name: "native".to_owned(),
            version: fleet_sdk::version!(),
            handle_schema: runtime::SCHEMA,
            reads: vec![runtime::SCHEMA],
            config_schema: config::SCHEMA.to_owned(),
            attributes: Vec::new(),
        })
    }

    fn fingerprint() -> Result<Facilities, Error> {
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

    fn create(op: Op, workload: Workload) -> Result<Creation, Error> {
        let config: Config = workload.config()?;
        let request = convert::request(workload, config)?;
        let prepared = process::prepare(&op, &request)?;
        Ok(Creation::Ready(Created {
            handle: Runtime {
                process: prepared.ref_,
            }
            .handle()?,
            kill_target: prepared.kill_target,
        }))
    }

    fn start(op: Op, handle: Handle) -> Result<Handle, Error> {
        let runtime = Runtime::of(&handle)?;
        match process::start(&op, &runtime.process) {
            // It may have run: the next look says so, and it is not started again.
            Err(error) if error.code == "start-lost" => Ok(handle),
            started => started.map(|_| handle),
        }
    }

    fn stop(op: Op, handle: Handle, signal: String) -> Result<Handle, Error> {
        let runtime = Runtime::of(&handle)?;
        convert::or_gone(process::signal(&op, &runtime.process, &signal))?;
        Ok(handle)
    }

    fn kill(op: Op, handle: Handle) -> Result<Handle, Error> {
        let runtime = Runtime::of(&handle)?;
        convert::or_gone(process::kill(&op, &runtime.process))?;
        Ok(handle)
    }

    fn destroy(op: Op, handle: Handle) -> Result<(), Error> {
        let runtime = Runtime::of(&handle)?;
        convert::or_gone(process::remove(&op, &runtime.process))
    }

    fn inspect(handle: Handle) -> Result<Observation, Error> {
        let runtime = Runtime::of(&handle)?;
        convert::observation(process::inspect(&runtime.process))
    }

    fn recover(handles: Vec<Handle>) -> Result<Vec<Observation>, Error> {
        let look = |handle| Self::inspect(handle).unwrap_or_else(convert::unknown);
        Ok(handles.into_iter().map(look).collect())
    }

    fn list(page: Page) -> Result<Listing, Error> {
        let listing = process::list(&page)?;
        let entries = listing.entries.into_iter().map(convert::listed);
        Ok(Listing {
            entries: entries.collect::<Result<_, _>>()?,
            next: listing.next,
        })
    }

    fn watch(handle: Handle) -> Result<Option<Source>, Error> {
        let runtime = Runtime::of(&handle)?;
        process::open(&runtime.process, &process::Stream::End).map(Some)
    }
}

impl logs::Guest for Native {
    fn open(handle: Handle, options: logs::Options) -> Result<Source, Error> {
        let runtime = Runtime::of(&handle)?;
        process::open(&runtime.process, &process::Stream::Output(options))
    }
}

impl input::Guest for Native {
    fn send(op: Op, handle: Handle, bytes: Vec<u8>) -> Result<(), Error> {
        let runtime = Runtime::of(&handle)?;
        process::send(&op, &runtime.process, &bytes)
    }
}

impl exec::Guest for Native {
    fn start(op: Op, handle: Handle, request: exec::Request) -> Result<String, Error> {
        let runtime = Runtime::of(&handle)?;
        process::exec(&op, &runtime.process, &convert::exec_request(request))
    }

    fn open(handle: Handle, exec: String, cursor: Option<String>) -> Result<Source, Error> {
        let runtime = Runtime::of(&handle)?;
        let options = process::ExecOptions { exec, cursor };
        process::open(&runtime.process, &process::Stream::Exec(options))
    }

    fn inspect(_handle: Handle, exec: String) -> Result<exec::State, Error> {
        process::inspect_exec(&exec).map(convert::exec_state)
    }

    fn resize(_handle: Handle, exec: String, size: exec::Size) -> Result<(), Error> {
        process::resize_exec(&exec, convert::size(size))
    }

    fn signal(op: Op, _handle: Handle, exec: String, signal: String) -> Result<(), Error> {
        process::signal_exec(&op, &exec, &signal)
    }

    fn remove(op: Op, _handle: Handle, exec: String) -> Result<(), Error> {
        convert::or_gone(process::remove_exec(&op, &exec))
    }
}

impl signals::Guest for Native {
    fn send(op: Op, handle: Handle, signal: String) -> Result<(), Error> {
        let runtime = Runtime::of(&handle)?;
        process::signal(&op, &runtime.process, &signal)
    }
}

impl stats::Guest for Native {
    fn take(handle: Handle) -> Result<stats::Sample, Error> {
        let runtime = Runtime::of(&handle)?;
        process::usage(&runtime.process).map(convert::sample)
    }
}

fleet_sdk::export!(Native with exec, input, signals, stats);

#[cfg(test)]
mod tests {
    use driver::Guest;

    use super::*;

    #[test]
    fn the_description_agrees_with_the_manifest() {
        let description = Native::describe().unwrap();
        let manifest = include_str!("../native.toml");
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
