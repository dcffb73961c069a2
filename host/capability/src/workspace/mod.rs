//! The folders of workloads: `ROOT/WORKLOAD/{workspace,logs,runs,input,packets,uploads}`.
//!
//! `workspace` belongs to the program and is its working directory; `logs` holds its captured
//! output; `runs` holds what the host knows of each try; `input` and `packets`, where there are any,
//! hold commands on their way in ([`crate::input`]) and packets on their way out
//! ([`crate::packets`]); `uploads` holds files on their way into the workspace. All live and go
//! together.
//!
//! Whoever wants something in a workspace opens it ([`Tree`]) and is kept inside it.

mod change;
mod entry;
mod files;
mod list;
mod read;
mod refusal;
#[cfg(test)]
mod tests;
mod tree;
mod upload;
pub mod usage;

use std::fs;
use std::path::{Path, PathBuf};

use fleet_model::{Error, WorkloadId};

pub use change::{Depth, Taken};
pub use files::WorkspaceFile;
pub use list::Listing;
pub use read::{Hash, Links, Reading};
pub use tree::Tree;
pub(crate) use tree::mount_of;
pub use upload::{Incoming, Progress, Reserve};
pub use usage::Usage;

use crate::packets::socket;
use crate::{durable, fault, removal};

/// The folders of all workloads of one host.
#[derive(Debug, Clone)]
pub struct Workspaces {
    root: PathBuf,
}

impl Workspaces {
    /// The folders under `root`, which is made if it is not there.
    ///
    /// # Errors
    /// Where the folder can neither be found nor made.
    pub fn open(root: &Path) -> Result<Self, Error> {
        durable::make_folder(root)
            .map_err(|error| fault::storage("make the folder", root, &error))?;
        let root = fs::canonicalize(root).map_err(|error| fault::storage("open", root, &error))?;
        Ok(Self { root })
    }

    /// The folder that holds them all, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one workload.
    #[must_use]
    pub fn folder(&self, workload: WorkloadId) -> PathBuf {
        self.root.join(workload.to_string())
    }

    /// Its working directory.
    #[must_use]
    pub fn path(&self, workload: WorkloadId) -> PathBuf {
        self.folder(workload).join("workspace")
    }

    /// Where its output is kept.
    #[must_use]
    pub fn logs(&self, workload: WorkloadId) -> PathBuf {
        self.folder(workload).join("logs")
    }

    /// Where its tries are recorded.
    #[must_use]
    pub fn runs(&self, workload: WorkloadId) -> PathBuf {
        self.folder(workload).join("runs")
    }

    /// Makes a workload's folders, durably, and answers its working directory. Blocks on the disk.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn create(&self, workload: WorkloadId) -> Result<PathBuf, Error> {
        let folder = self.folder(workload);
        let path = self.path(workload);
        let make = || {
            for part in [&path, &self.logs(workload), &self.runs(workload)] {
                durable::make_folder(part)?;
            }
            durable::sync_folder(&folder)?;
            durable::sync_folder(&self.root)
        };
        make().map_err(|error| fault::storage("make the folder", &folder, &error))?;
        Ok(path)
    }

    /// Removes all of a workload's files, read-only ones too, without following a link. Fine if
    /// there are none. Blocks on the disk.
    ///
    /// # Errors
    /// Where something in it cannot be removed: a mount; another user's files (`workspace-foreign-files`).
    pub fn remove(&self, workload: WorkloadId) -> Result<(), Error> {
        let folder = self.folder(workload);
        socket::remove(&folder)
            .and_then(|()| removal::remove_folder(&self.root, &workload.to_string()))
            .and_then(|()| durable::sync_folder(&self.root))
            .map_err(|error| fault::removal(&folder, &error))
    }

    /// The workloads that have a folder here, in order. Blocks on the disk.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn ids(&self) -> Result<Vec<WorkloadId>, Error> {
        let list = || {
            let mut ids = Vec::new();
            for entry in fs::read_dir(&self.root)? {
                ids.extend(
                    entry?
                        .file_name()
                        .to_str()
                        .and_then(|name| name.parse::<WorkloadId>().ok()),
                );
            }
            ids.sort();
            Ok(ids)
        };
        list().map_err(|error| fault::storage("read the folder", &self.root, &error))
    }
}
