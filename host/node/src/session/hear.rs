//! Hears the controller: accepts intent, makes it durable, wakes whoever it concerns.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::Name;
use fleet_model::item::{Item, ItemKey, ItemStatus};
use fleet_model::workload::WorkloadIntent;
use fleet_protocol::ControllerMessage;
use fleet_protocol::link::LinkReceiver;
use fleet_protocol::message::Seen;
use fleet_store::WriteError;
use serde::Deserialize;
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
                    let named = std::mem::take(&mut named);
                    report_unnamed(context, &named);
                    forget_removed(context, named).await?;
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
            ControllerMessage::PacketsAck { item, spool, seq } => {
                context.packets.stored(&item, spool, seq).await;
            }
            ControllerMessage::Secrets { answers } => context.secrets.answer(answers),
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
            let identity = tx.get::<Identity>(&Identity::KEY);
            let floor = identity
                .as_ref()
                .map(|identity| identity.floor)
                .unwrap_or_default();
            for item in &items {
                let known = tx.get::<Record>(&item.id);
                if let Some(record) = intake::record(known.as_deref(), item, floor) {
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
                && let Some(identity) = identity
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
    forget_secrets(context);
    for report in changed.acknowledged {
        context.board.post(report);
    }
    Ok(())
}

/// The values of secrets that no item here names any more are forgotten.
fn forget_secrets(context: &Context) {
    if context.secrets.is_empty() {
        return;
    }
    let snapshot = context.store.snapshot();
    let intents = snapshot.state.items.values().flat_map(|record| {
        let wanted = record.item.intent.as_ref();
        let wanted = wanted.and_then(|intent| WorkloadIntent::deserialize(intent).ok());
        let made = record.run.as_ref().and_then(|run| run.intent.clone());
        [wanted, made]
    });
    let named: BTreeSet<Name> = intents
        .flatten()
        .flat_map(|intent| {
            intent
                .spec
                .secrets()
                .into_iter()
                .cloned()
                .collect::<Vec<_>>()
        })
        .collect();
    context.secrets.keep(&named);
}

/// What was removed and is not stated any more has been acknowledged: its record goes. That nothing
/// older than it is ever accepted, the floor remembers for all of them.
async fn forget_removed(context: &Context, named: BTreeSet<ItemKey>) -> Result<(), SessionEnd> {
    let snapshot = context.store.snapshot();
    let gone: Vec<ItemKey> = snapshot
        .state
        .items
        .values()
        .filter(|record| record.removed && !named.contains(&record.item.id))
        .map(|record| record.item.id.clone())
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    let forgotten = context.store.write(move |tx| -> Result<(), Infallible> {
        let Some(identity) = tx.get::<Identity>(&Identity::KEY) else {
            return Ok(());
        };
        let mut identity = Identity::clone(&identity);
        for key in &gone {
            if let Some(record) = tx.get::<Record>(key).filter(|record| record.removed) {
                identity.floor = identity.floor.max(record.item.generation);
                tx.delete::<Record>(key);
            }
        }
        tx.put(identity);
        Ok(())
    });
    match forgotten.await {
        // A full disk keeps them until the next session.
        Ok(()) | Err(WriteError::Full(_) | WriteError::Busy(_)) => Ok(()),
        Err(error) => Err(SessionEnd::of_write(&error)),
    }
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
