//! Hears the controller: accepts intent, makes it durable, wakes whoever it concerns.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::item::{Item, ItemKey, ItemStatus};
use fleet_protocol::ControllerMessage;
use fleet_protocol::link::LinkReceiver;
use fleet_protocol::message::Seen;
use tokio::sync::mpsc;

use super::{Last, SILENT_HEARTBEATS, SessionEnd, Told};
use crate::context::Context;
use crate::hub::Hub;
use crate::intake::{self, Verdict};
use crate::readiness::Readiness;
use crate::reconcile::live::Live;
use crate::reconcile::status;
use crate::state::{Identity, Record};

pub(super) async fn hear(
    context: &Arc<Context>,
    hub: &Arc<Hub>,
    readiness: &Readiness,
    mut receiver: LinkReceiver,
    tell: mpsc::Sender<Told>,
    heartbeat: Duration,
) -> Result<(), SessionEnd> {
    let mut last: Last = None;
    let mut named = BTreeSet::new();
    loop {
        let message = tokio::select! {
            message = receiver.receive() => message?,
            () = context.clock.sleep(heartbeat * SILENT_HEARTBEATS) => return Err(SessionEnd::Silent),
        };
        match message {
            ControllerMessage::FullSet {
                at,
                items,
                last: complete,
            } => {
                let verdict = intake::judge(seen(context), at);
                named.extend(items.iter().map(|item| item.id.clone()));
                // The place counts as reached only with the last part: a set cut short is asked for again.
                accept(context, hub, &tell, verdict, at, items, complete).await?;
                if complete && verdict == Verdict::Accept {
                    report_unnamed(context, &std::mem::take(&mut named));
                    last = Some(at.revision);
                    readiness.synced();
                }
            }
            ControllerMessage::Delta { after, at, items } => {
                let verdict = intake::judge_delta(seen(context), at, after, last);
                accept(context, hub, &tell, verdict, at, items, true).await?;
                if verdict == Verdict::Accept {
                    last = Some(at.revision);
                }
            }
            ControllerMessage::OutboxAck { seq } => say(&tell, Told::OutboxStored(seq)).await?,
            ControllerMessage::HeartbeatAck { .. } => {}
            ControllerMessage::Goodbye { reason } => return Err(SessionEnd::Goodbye(reason)),
            ControllerMessage::Welcome { .. } | ControllerMessage::Refused { .. } => {
                return Err(SessionEnd::OutOfTurn);
            }
        }
    }
}

/// What a statement set in motion.
#[derive(Default)]
struct Changed {
    /// Items with a newer intent.
    wanted: Vec<ItemKey>,
    /// Tombstones that were carried out before: their acknowledgement was lost.
    acknowledged: Vec<ItemStatus>,
}

fn seen(context: &Context) -> Option<Seen> {
    context
        .store
        .snapshot()
        .state
        .identity
        .get(&Identity::KEY)
        .and_then(|identity| identity.seen)
}

async fn accept(
    context: &Context,
    hub: &Arc<Hub>,
    tell: &mpsc::Sender<Told>,
    verdict: Verdict,
    at: Seen,
    items: Vec<Item>,
    reached: bool,
) -> Result<(), SessionEnd> {
    match verdict {
        Verdict::Behind(seen) => return say(tell, Told::Behind(seen)).await,
        Verdict::Gap => return say(tell, Told::WantFullSet).await,
        Verdict::Accept => {}
    }
    let stored = context
        .store
        .write(move |tx| -> Result<Changed, Infallible> {
            let mut changed = Changed::default();
            for item in &items {
                let known = tx.get::<Record>(&item.id);
                if let Some(record) = intake::record(known.as_deref(), item) {
                    changed.wanted.push(item.id.clone());
                    tx.put(record);
                } else if let Some(known) =
                    known.filter(|known| known.removed && item.is_tombstone())
                {
                    changed
                        .acknowledged
                        .extend(status::report(&known, None, &Live::default()));
                }
            }
            if reached
                && let Some(identity) = tx.get::<Identity>(&Identity::KEY)
                && identity.seen != Some(at)
            {
                tx.put(Identity {
                    seen: Some(at),
                    ..Identity::clone(&identity)
                });
            }
            Ok(changed)
        });
    // Where there is no room nothing was accepted; the next session states it again.
    let changed = stored.await.map_err(|error| SessionEnd::of_write(&error))?;
    for key in changed.wanted {
        hub.wake(&key);
    }
    for report in changed.acknowledged {
        context.board.post(report);
    }
    Ok(())
}

/// Absence never deletes; it is worth a word, because somebody will wonder.
fn report_unnamed(context: &Context, named: &BTreeSet<ItemKey>) {
    let snapshot = context.store.snapshot();
    for record in snapshot.state.items.values() {
        if !record.removed && !named.contains(&record.item.id) {
            tracing::warn!(item = %record.item.id, "the controller does not name this item; it is left as it is");
        }
    }
}

async fn say(tell: &mpsc::Sender<Told>, told: Told) -> Result<(), SessionEnd> {
    // The saying half ends only with the session.
    tell.send(told)
        .await
        .map_err(|_| SessionEnd::Link(fleet_protocol::link::LinkError::Closed))
}
