//! Temporal (<https://temporal.io>): its development server, a whole cluster in one process with its
//! data in memory.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::Result;
use crate::process::{Owned, free_address};
use crate::stopwatch::{now, wait_for};

/// Its name in tables.
pub(crate) const NAME: &str = "temporal server start-dev";

/// What clients talk to.
const SERVICE: &str = "temporal.api.workflowservice.v1.WorkflowService";

const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_micros(500);

/// Seconds from its start until its front end says that it serves, which `grpc` asks; and itself.
pub(crate) fn start(program: &Path, grpc: &Path, folder: &Path) -> Result<(f64, Owned)> {
    let address = free_address()?;
    let mut command = Command::new(program);
    command
        .args([
            "server",
            "start-dev",
            "--headless",
            "--ip",
            "127.0.0.1",
            "--port",
        ])
        .arg(address.port().to_string())
        .env("HOME", folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(File::create(folder.join("temporal.stdout"))?)
        .stderr(File::create(folder.join("temporal.stderr"))?);
    let began = now();
    let mut process = Owned::spawn(&mut command)?;
    let mut waiting = Owned::spawn(
        Command::new(grpc)
            .arg("await")
            .arg(address.to_string())
            .arg(SERVICE),
    )?;
    let ready = || {
        process
            .check()
            .map_err(|error| format!("{error}; see {}/temporal.stderr", folder.display()))?;
        Ok(waiting
            .child()
            .try_wait()?
            .filter(ExitStatus::success)
            .map(drop))
    };
    wait_for("temporal to be ready", START, LOOK, ready)?;
    Ok((began.elapsed().as_secs_f64(), process))
}
