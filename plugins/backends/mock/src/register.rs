//! A register of runtimes outside of their handles: of each one process that is prepared and never
//! started.
//!
//! Only where the setting `listed` is on, with the launcher `dev` requested and granted. It is what
//! `list` finds, and what is left where something was to be removed and was not.

use fleet_sdk::driver::{Listed, Listing};
use fleet_sdk::{Error, Op, Page, process};

use crate::config::Config;
use crate::life::Life;
use crate::runtime::Runtime;
use crate::settings::Settings;

/// Enters a workload and answers the name of its entry.
pub(crate) fn enter(op: &Op, workload: &str) -> Result<String, Error> {
    let request = process::Request {
        launcher: "dev".to_owned(),
        workload: workload.to_owned(),
        command: vec!["true".to_owned()],
        env: Vec::new(),
        attributes: Vec::new(),
    };
    process::prepare(op, &request).map(|prepared| prepared.ref_)
}

/// Whether an entry is there.
pub(crate) fn holds(entry: &str) -> Result<bool, Error> {
    match process::inspect(entry) {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes an entry. Fine when it is gone.
pub(crate) fn leave(op: &Op, entry: &str) -> Result<(), Error> {
    process::remove(op, entry)
}

/// One page of it. An entry says nothing of a life: it is one that never began.
pub(crate) fn page(page: &Page, settings: Settings) -> Result<Listing, Error> {
    let found = process::list(page)?;
    let entries = found.entries.into_iter().map(|entry| {
        let runtime = Runtime {
            config: Config::default(),
            life: Life::default(),
            settings,
            entry: Some(entry.ref_),
        };
        Ok(Listed {
            handle: runtime.handle()?,
            workload: entry.workload,
            node: String::new(),
            generation: entry.generation,
        })
    });
    Ok(Listing {
        entries: entries.collect::<Result<_, Error>>()?,
        next: found.next,
    })
}
