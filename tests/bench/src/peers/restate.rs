//! Restate (<https://restate.dev>): a server for durable execution, started as for development.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::process::{Owned, free_address, http_status};
use crate::stopwatch::{now, wait_for};

/// Its name in tables.
pub(crate) const NAME: &str = "restate-server";

const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_micros(500);

/// Seconds from its start until API and ingress answer, on the data that is in `folder`; and itself.
pub(crate) fn start(program: &Path, folder: &Path) -> Result<(f64, Owned)> {
    let (admin, ingress, node) = (free_address()?, free_address()?, free_address()?);
    let mut command = Command::new(program);
    command
        .arg("--base-dir")
        .arg(folder.join("restate"))
        .env("RESTATE_ADMIN__BIND_ADDRESS", admin.to_string())
        .env("RESTATE_INGRESS__BIND_ADDRESS", ingress.to_string())
        .env("RESTATE_BIND_ADDRESS", node.to_string())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(File::create(folder.join("restate.stdout"))?)
        .stderr(File::create(folder.join("restate.stderr"))?);
    let began = now();
    let mut process = Owned::spawn(&mut command)?;
    let ready = || {
        process
            .check()
            .map_err(|error| format!("{error}; see {}/restate.stdout", folder.display()))?;
        let both = [(admin, "/health"), (ingress, "/restate/health")];
        let ready = both
            .into_iter()
            .all(|(address, path)| http_status(address, path) == Some(200));
        Ok(ready.then_some(()))
    };
    wait_for("restate-server to be ready", START, LOOK, ready)?;
    Ok((began.elapsed().as_secs_f64(), process))
}
