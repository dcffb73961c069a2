//! The backend `{{name}}`: programs as processes of the machine.
//!
//! Each call is one call of the import `process`, and the handle is the name the host gave the process.

use fleet_sdk::driver::{Creation, Description, Facilities, Listing, Observation, Workload};
use fleet_sdk::{Error, Handle, Op, Page, Source, driver, logs, or_gone, process, processes};
use serde::{Deserialize, Serialize};

const NOTE: &str = "made by {{name}}";

/// The number of the handle's format: raise it when the format changes.
const SCHEMA: u32 = 1;

/// What a workload may say in its [config]; `config.schema.json` takes and refuses the same.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    nice: u8,
}

/// What the handle holds.
#[derive(Serialize, Deserialize)]
struct State {
    /// The host's name for the process.
    process: String,
}

struct Backend;

impl driver::Guest for Backend {
    fn describe() -> Result<Description, Error> {
        Ok(Description {
            name: "{{name}}".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            handle_schema: SCHEMA,
            reads: vec![SCHEMA],
            config_schema: include_str!("../config.schema.json").to_owned(),
            attributes: Vec::new(),
        })
    }

    fn fingerprint() -> Result<Facilities, Error> {
        processes::facilities()
    }

    fn create(op: Op, workload: Workload) -> Result<Creation, Error> {
        let config: Config = workload.config()?;
        if workload.command.is_empty() {
            let message = "there is no program to run: put one after `--`";
            return Err(Error::invalid("command-missing", message));
        }
        let mut command = vec!["nice".to_owned(), "-n".to_owned(), config.nice.to_string()];
        command.extend(workload.command);
        let request = process::Request {
            launcher: "{{name}}".to_owned(),
            workload: workload.id,
            command,
            env: workload.env,
            attributes: Vec::new(),
        };
        let prepared = process::prepare(&op, &request)?;
        Ok(processes::created(
            handle_of(prepared.ref_.clone())?,
            prepared,
        ))
    }

    fn start(op: Op, handle: Handle) -> Result<Handle, Error> {
        processes::start(&op, &reference(&handle)?)?;
        Ok(handle)
    }

    fn stop(op: Op, handle: Handle, signal: String) -> Result<Handle, Error> {
        or_gone(process::signal(&op, &reference(&handle)?, &signal))?;
        Ok(handle)
    }

    fn kill(op: Op, handle: Handle) -> Result<Handle, Error> {
        or_gone(process::kill(&op, &reference(&handle)?))?;
        Ok(handle)
    }

    fn destroy(op: Op, handle: Handle) -> Result<(), Error> {
        or_gone(process::remove(&op, &reference(&handle)?))
    }

    fn inspect(handle: Handle) -> Result<Observation, Error> {
        let mut seen = processes::observe(&reference(&handle)?)?;
        seen.attributes.push(("note".to_owned(), NOTE.to_owned()));
        Ok(seen)
    }

    fn recover(handles: Vec<Handle>) -> Result<Vec<Observation>, Error> {
        Ok(processes::observe_each(handles, Self::inspect))
    }

    fn list(page: Page) -> Result<Listing, Error> {
        processes::listing(&page, handle_of)
    }

    fn watch(handle: Handle) -> Result<Option<Source>, Error> {
        processes::end(&reference(&handle)?)
    }
}

impl logs::Guest for Backend {
    fn open(handle: Handle, options: logs::Options) -> Result<Source, Error> {
        processes::output(&reference(&handle)?, options)
    }
}

/// The host's name for the process.
fn reference(handle: &Handle) -> Result<String, Error> {
    let state: State = handle.read(SCHEMA)?;
    Ok(state.process)
}

fn handle_of(process: String) -> Result<Handle, Error> {
    Handle::write(SCHEMA, &State { process })
}

fleet_sdk::export!(Backend);

/// What the plugin decides, without a host: `cargo test`.
#[cfg(test)]
mod tests {
    use fleet_sdk::driver::Guest;
    use fleet_sdk::testing::{self, with_host};
    use serde_json::json;

    use super::*;

    #[test]
    #[rustfmt::skip]
    fn a_workloads_life() {
        testing::table::<Backend>(&[
            // what is tried       [config]              steps                      what comes of it
            ("it is made",         json!({}),            "create",                  "created"),
            ("it runs",            json!({}),            "create start",            "running"),
            ("it ends by itself",  json!({}),            "create start end=3",      "exited 3"),
            ("it is ended",        json!({}),            "create start kill",       "exited 137"),
            ("it ended before",    json!({}),            "create start end=0 stop", "exited 0"),
            ("it is removed",      json!({}),            "create start destroy",    "gone"),
            ("a typo",             json!({"nicer": 1}),  "create",                  "error invalid config"),
        ]);
    }

    #[test]
    fn what_is_run() {
        let workload = testing::workload(&["sleep", "9"], &json!({"nice": 5}));
        Backend::create(testing::op("create"), workload).unwrap();
        let command = with_host(|host| host.programs.values().next().unwrap().request.command.clone());
        assert_eq!(command, ["nice", "-n", "5", "sleep", "9"]);
    }

    #[test]
    fn without_a_launcher_it_says_so() {
        with_host(|host| host.is_granted = false);
        let unusable = Backend::fingerprint().unwrap().unusable.unwrap();
        assert!(unusable.contains("not granted"), "{unusable}");
    }
}
