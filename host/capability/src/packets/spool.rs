//! What is in a spool's folder beside the segments: who it is and how far it is stored elsewhere.

use std::io;
use std::path::{Path, PathBuf};

use fleet_model::StoreId;
use serde::{Deserialize, Serialize};

use crate::durable;

const ID: &str = "id";
const ACKED: &str = "acked.json";

/// The spool of a workload, in the workload's folder.
pub(crate) fn folder(workload: &Path) -> PathBuf {
    workload.join("packets")
}

/// Which spool it is; `None` where there is none.
pub(crate) fn id(folder: &Path) -> io::Result<Option<StoreId>> {
    durable::read(&folder.join(ID))
}

/// Makes the spool, once and for all: a later id is not taken.
pub(crate) fn create(folder: &Path, id: StoreId) -> io::Result<()> {
    durable::make_folder(folder)?;
    durable::create(folder, ID, &id)?;
    match folder.parent() {
        Some(workload) => durable::sync_folder(workload),
        None => Ok(()),
    }
}

/// How far packets are stored elsewhere.
#[derive(Debug, Serialize, Deserialize)]
struct Acked {
    through: u64,
}

/// The last packet that is stored elsewhere; 0 if none is. Where that cannot be read nothing is
/// taken for stored.
pub(crate) fn acked(folder: &Path) -> io::Result<u64> {
    match durable::read::<Acked>(&folder.join(ACKED)) {
        Ok(acked) => Ok(acked.map_or(0, |acked| acked.through)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

/// Says durably that packets up to this one are stored elsewhere.
pub(crate) fn ack(folder: &Path, through: u64) -> io::Result<()> {
    durable::replace(folder, ACKED, &Acked { through })
}
