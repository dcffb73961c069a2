//! Room for uploads within what a workload may have on the disk: given before the first byte comes, and
//! kept for the upload until it has ended, so that many at once do not go over the limit together.

mod ledger;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_model::quantity::Size;
use fleet_model::{Error, WorkloadId};
use tokio::sync::Mutex as Turn;

use super::limit;
use crate::context::Context;
use crate::files::blocking;
use ledger::Ledger;

/// The room of all workloads that something was uploaded to a short time ago.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<BTreeMap<WorkloadId, Arc<Room>>>);

#[derive(Debug, Default)]
struct Room {
    /// Held while room is looked for: whoever waits finds what was seen meanwhile.
    turn: Turn<()>,
    ledger: Mutex<Ledger>,
}

/// What an upload needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need<'a> {
    pub(super) workload: WorkloadId,
    /// What the workload may have.
    pub(super) disk: Size,
    /// What is still to come, in bytes.
    pub(super) more_bytes: u64,
    /// The upload's own key: what has arrived under it stays.
    pub(super) key: &'a str,
}

/// Room that an upload has. What it has not written is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    room: Arc<Room>,
    left_bytes: u64,
}

impl Reserved {
    /// So much of it is on the disk now.
    pub(super) fn wrote(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left_bytes);
        self.left_bytes -= bytes;
        self.room.ledger().wrote(bytes);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.room.ledger().release(self.left_bytes);
    }
}

/// Gives an upload the room it needs. Where there is too little, what broken-off ones left goes first, if
/// that makes enough.
///
/// # Errors
/// `exhausted` (`disk-limit`), by a look that began after this was asked; where the disk refuses.
pub(super) async fn reserve(context: &Context, need: Need<'_>) -> Result<Reserved, Error> {
    let asked_ms = context.clock.boot_ms();
    let room = context.rooms.of(need.workload, asked_ms);
    let _turn = room.turn.lock().await;
    let now_ms = context.clock.boot_ms();
    let known = room.ledger().taken(now_ms);
    if known.is_some_and(|taken| limit::check(need.disk, taken, need.more_bytes).is_ok()) {
        return Ok(room.reserved(need));
    }
    let known = room.ledger().taken_after(asked_ms, now_ms);
    let taken = match known {
        Some(taken) => taken,
        None => look(context, &room, need.workload).await?,
    };
    let Err(refused) = limit::check(need.disk, taken, need.more_bytes) else {
        return Ok(room.reserved(need));
    };
    let wanted = taken.saturating_add(need.more_bytes);
    let lacking = wanted.saturating_sub(need.disk.as_bytes());
    let (tree, key) = (
        context.files.tree(need.workload).await?,
        need.key.to_owned(),
    );
    let removed = blocking(move || tree.remove_other_uploads(&key, lacking)).await?;
    if removed == 0 {
        return Err(refused);
    }
    tracing::info!(workload = %need.workload, removed, "removed broken-off uploads to make room for another");
    let taken = look(context, &room, need.workload).await?;
    limit::check(need.disk, taken, need.more_bytes)?;
    Ok(room.reserved(need))
}

/// Looks at what is on the disk, and answers what is taken by that.
async fn look(context: &Context, room: &Room, workload: WorkloadId) -> Result<u64, Error> {
    let look = room.ledger().look(context.clock.boot_ms());
    let usage = context.files.usage(workload).await?;
    Ok(room.ledger().seen(&look, usage.limited_bytes()))
}

impl Rooms {
    fn of(&self, workload: WorkloadId, now_ms: u64) -> Arc<Room> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|_, room| Arc::strong_count(room) > 1 || !room.ledger().is_idle(now_ms));
        rooms.entry(workload).or_default().clone()
    }
}

impl Room {
    fn reserved(self: &Arc<Self>, need: Need<'_>) -> Reserved {
        self.ledger().promise(need.more_bytes);
        Reserved {
            room: self.clone(),
            left_bytes: need.more_bytes,
        }
    }

    /// Every holder leaves it whole, so a panic elsewhere does no harm.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
