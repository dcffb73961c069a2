//! The slot of a program beside a process: the folder `TRY/execs/KEY`.
//!
//! | file           | written by   | says                                                  |
//! |----------------|--------------|-------------------------------------------------------|
//! | `request.json` | host, `exec` | what to start; without it there is no slot            |
//! | `lock`         | shim         | held while it lives: one at a time has the socket     |
//! | `claim`        | shim or host | who runs it, or that nobody ever will                 |
//! | `control`      | shim         | a socket: where the host attaches and asks (`wire.rs`) |
//! | `executed`     | shim         | empty: the program runs or ran                        |
//! | `exit.json`    | shim         | how it ended                                          |
//! | `shim.log`     | shim         | what went wrong in the shim itself                    |

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::record::{ExecExit, ExecRecord};
use crate::process::slot::{EXIT, REQUEST, Slot};
use crate::{durable, removal};

/// What holds the slots of one process.
const EXECS: &str = "execs";

/// The folder of one program.
#[derive(Debug, Clone)]
pub(crate) struct ExecSlot {
    /// What it has in common with the slot of a process.
    pub(crate) slot: Slot,
}

impl ExecSlot {
    /// The one of this key beside this process.
    pub(crate) fn of(process: &Slot, key: u64) -> Self {
        Self::at(process.folder().join(EXECS).join(format!("{key:016x}")))
    }

    pub(crate) fn at(folder: PathBuf) -> Self {
        Self {
            slot: Slot::at(folder),
        }
    }

    /// Whether a folder is one of these by its place.
    pub(crate) fn is_here(folder: &Path) -> bool {
        folder.parent().and_then(Path::file_name) == Some(OsStr::new(EXECS))
    }

    /// All beside a process.
    pub(crate) fn all(process: &Slot) -> io::Result<Vec<Self>> {
        let entries = match std::fs::read_dir(process.folder().join(EXECS)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        entries
            .map(|entry| Ok(Self::at(entry?.path())))
            .collect::<io::Result<Vec<Self>>>()
    }

    /// Whether any ever ran beside a process.
    pub(crate) fn were_any(process: &Slot) -> bool {
        process.folder().join(EXECS).exists()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.slot.folder()
    }

    /// The process it is beside.
    pub(crate) fn process(&self) -> io::Result<Slot> {
        let process = self.folder().parent().and_then(Path::parent);
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "not beside a process");
        Ok(Slot::at(process.ok_or_else(missing)?.to_owned()))
    }

    pub(crate) fn request(&self) -> io::Result<Option<ExecRecord>> {
        durable::read(&self.folder().join(REQUEST))
    }

    /// Makes the slot with its request, durably. Of many at once one wins: `false` for the others.
    /// Fails where the process's slot is gone: that is not made again.
    pub(crate) fn create(&self, request: &ExecRecord) -> io::Result<bool> {
        let execs = self.folder().parent().unwrap_or(self.folder());
        for folder in [execs, self.folder()] {
            match DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let created = durable::create(self.folder(), REQUEST, request)?;
        durable::sync_folder(execs)?;
        if let Some(process) = execs.parent() {
            durable::sync_folder(process)?;
        }
        Ok(created)
    }

    pub(crate) fn record_exit(&self, exit: &ExecExit) -> io::Result<()> {
        durable::replace(self.folder(), EXIT, exit)
    }

    pub(crate) fn exit(&self) -> io::Result<Option<ExecExit>> {
        durable::read(&self.folder().join(EXIT))
    }

    /// Removes it. Nothing of it may run.
    pub(crate) fn erase(&self) -> io::Result<()> {
        let name = self.folder().file_name().and_then(OsStr::to_str);
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "not the folder of a program");
        let (execs, name) = self.folder().parent().zip(name).ok_or_else(missing)?;
        match removal::remove_folder(execs, name) {
            // All beside the process was removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }?;
        durable::sync_folder(execs)
    }
}
