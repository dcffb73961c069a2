//! A slot: the folder of one try, `RUNS/GENERATION.ATTEMPT`.
//!
//! | file           | written by       | says                                         |
//! |----------------|------------------|----------------------------------------------|
//! | `request.json` | host, `prepare`  | what to start; without it there is no slot   |
//! | `end`          | host, `prepare`  | a FIFO; the shim holds it open while it lives |
//! | `claim`        | shim, or host    | who runs it, or that nobody ever will        |
//! | `control`      | shim             | a socket: where the host hands commands over |
//! | `executed`     | shim             | empty: the program runs or ran               |
//! | `exit.json`    | shim             | how it ended                                 |
//! | `shim.log`     | shim             | what went wrong in the shim itself           |
//! | `execs`        | host, `exec`     | the slots of programs beside it              |

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use fleet_model::Generation;
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;

use super::evidence::{ClaimSeen, Evidence};
use super::record::{Claim, ExitRecord, RequestRecord};
use super::reference::Reference;
use crate::boot::{BootId, is_same_process};
use crate::durable;
use crate::workspace::Workspaces;

pub(crate) const REQUEST: &str = "request.json";
const CLAIM: &str = "claim";
const EXECUTED: &str = "executed";
pub(crate) const EXIT: &str = "exit.json";

/// The shim's socket, in the slot.
pub(crate) const CONTROL: &str = "control";

/// The folder of one try.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    folder: PathBuf,
}

impl Slot {
    pub(crate) fn of(workspaces: &Workspaces, reference: Reference) -> Self {
        Self {
            folder: workspaces
                .runs(reference.workload)
                .join(reference.try_name()),
        }
    }

    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The generation its name says.
    pub(crate) fn generation(&self) -> Option<Generation> {
        let name = self.folder.file_name()?.to_str()?;
        name.split_once('.')?.0.parse().ok()
    }

    /// The workload's working directory.
    pub(crate) fn workspace(&self) -> io::Result<PathBuf> {
        self.beside("workspace")
    }

    /// The workload's log.
    pub(crate) fn logs(&self) -> io::Result<PathBuf> {
        self.beside("logs")
    }

    /// The workload's folder: `WORKLOAD/runs/TRY` is this one.
    pub(crate) fn workload(&self) -> io::Result<PathBuf> {
        let workload = self.folder.parent().and_then(Path::parent);
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "not the folder of a try");
        workload.map(Path::to_owned).ok_or_else(missing)
    }

    fn beside(&self, name: &str) -> io::Result<PathBuf> {
        Ok(self.workload()?.join(name))
    }

    pub(crate) fn end(&self) -> PathBuf {
        self.folder.join("end")
    }

    pub(crate) fn shim_log(&self) -> PathBuf {
        self.folder.join("shim.log")
    }

    pub(crate) fn request(&self) -> io::Result<Option<RequestRecord>> {
        durable::read(&self.folder.join(REQUEST))
    }

    /// Makes the slot with its request, durably. Of many at once one wins: `false` for the others.
    pub(crate) fn create(&self, request: &RequestRecord) -> io::Result<bool> {
        durable::make_folder(&self.folder)?;
        match rustix::fs::mkfifoat(CWD, self.end(), Mode::RUSR | Mode::WUSR) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let created = durable::create(&self.folder, REQUEST, request)?;
        if let Some(runs) = self.folder.parent() {
            durable::sync_folder(runs)?;
        }
        Ok(created)
    }

    /// Decides once and for all what becomes of the slot: `false` if that was decided before.
    pub(crate) fn claim(&self, claim: &Claim) -> io::Result<bool> {
        durable::create(&self.folder, CLAIM, claim)
    }

    pub(crate) fn is_claimed(&self) -> bool {
        self.folder.join(CLAIM).exists()
    }

    pub(crate) fn claimed(&self) -> io::Result<ClaimSeen> {
        match durable::read::<Claim>(&self.folder.join(CLAIM)) {
            Ok(None) => Ok(ClaimSeen::None),
            Ok(Some(claim)) => Ok(ClaimSeen::Read(claim)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Ok(ClaimSeen::Unreadable)
            }
            Err(error) => Err(error),
        }
    }

    /// Says that the program was executed, for those who found the slot claimed and wait. Of no
    /// use after a power loss, so it is not made durable.
    pub(crate) fn mark_executed(&self) -> io::Result<()> {
        File::create(self.folder.join(EXECUTED)).map(|_| ())
    }

    pub(crate) fn is_executed(&self) -> bool {
        self.folder.join(EXECUTED).exists()
    }

    pub(crate) fn record_exit(&self, exit: &ExitRecord) -> io::Result<()> {
        durable::replace(&self.folder, EXIT, exit)
    }

    pub(crate) fn exit(&self) -> io::Result<Option<ExitRecord>> {
        durable::read(&self.folder.join(EXIT))
    }

    /// All that is known now. The exit is read last: a shim that is gone by then has written it.
    pub(crate) fn evidence(&self) -> io::Result<Evidence> {
        let claim = self.claimed()?;
        let (shim_lives, program_lives) = match &claim {
            ClaimSeen::Read(Claim::Shim(started)) => (
                is_same_process(&started.shim),
                is_same_process(&started.program),
            ),
            _ => (false, false),
        };
        Ok(Evidence {
            claim,
            shim_lives,
            program_lives,
            exit: self.exit()?,
            boot: BootId::current()?,
        })
    }
}
