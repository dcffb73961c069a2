//! The real binary, with a data folder of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fleet_client::{Client, ClientOptions};
use rustix::process::Signal;

use crate::Result;
use crate::process::{Owned, end_all_below, free_address, http_status};
use crate::stopwatch::{now, wait_for};

/// How long a start may take: the first one compiles.
const START: Duration = Duration::from_secs(120);
/// How often to ask whether it is ready.
const LOOK: Duration = Duration::from_micros(500);

/// How a host is started.
pub(crate) struct HostFolder {
    /// The program.
    pub(crate) binary: PathBuf,
    /// The folder of its plugins.
    pub(crate) plugins: PathBuf,
    /// The file of its grants; absent, it writes its first ones.
    pub(crate) grants: Option<PathBuf>,
    /// Its data folder.
    pub(crate) data: PathBuf,
    /// Where it keeps what it has compiled.
    pub(crate) cache: PathBuf,
}

/// A host that is ready.
pub(crate) struct RunningHost {
    process: Owned,
    binary: PathBuf,
    data: PathBuf,
    address: SocketAddr,
    /// Seconds from the start of the process until `/ready` answered 200.
    pub(crate) ready_after: f64,
}

impl HostFolder {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(&self) -> Result<RunningHost> {
        let address = free_address()?;
        let mut command = Command::new(&self.binary);
        command
            .arg("run")
            .arg("--plugins")
            .arg(&self.plugins)
            .arg("--data")
            .arg(&self.data)
            .args(["--listen", &address.to_string()])
            .env("FLEET_CACHE", &self.cache)
            .stdin(Stdio::null())
            .stdout(self.log("stdout")?)
            .stderr(self.log("stderr")?);
        if let Some(grants) = &self.grants {
            command.arg("--grants").arg(grants);
        }
        let began = now();
        let mut process = Owned::spawn(&mut command)?;
        let ready = || {
            process.check().map_err(|error| {
                format!(
                    "the host: {error}; see {}",
                    self.shown_log("stderr").display()
                )
            })?;
            Ok(http_status(address, "/ready").filter(|status| *status == 200))
        };
        wait_for("a host to be ready", START, LOOK, ready)?;
        Ok(RunningHost {
            ready_after: began.elapsed().as_secs_f64(),
            process,
            binary: self.binary.clone(),
            data: self.data.clone(),
            address,
        })
    }

    fn log(&self, name: &str) -> Result<File> {
        Ok(File::create(self.shown_log(name))?)
    }

    fn shown_log(&self, name: &str) -> PathBuf {
        self.data.with_extension(name)
    }
}

impl RunningHost {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A client that may do everything.
    pub(crate) fn client(&self) -> Result<Client> {
        let token = std::fs::read_to_string(self.data.join("admin.token"))?;
        let mut options = ClientOptions::new(format!("http://{}", self.address));
        options.token = Some(token.trim().to_owned());
        Ok(Client::new(options)?)
    }

    /// The command line of one who may do everything.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .env("FLEET_SERVER", format!("http://{}", self.address))
            .env("FLEET_DATA", &self.data);
        command
    }

    /// Stops it in order; what it started goes on.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.end(Signal::TERM)
    }
}

/// Ends whatever belongs to a folder of workloads when a measurement is over, however it ended.
pub(crate) struct Swept<'a>(pub(crate) &'a Path);

impl Drop for Swept<'_> {
    fn drop(&mut self) {
        end_all_below(self.0);
    }
}
