//! Says what a node should know: everything at first, what changed after that, and answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleet_model::item::{ItemKey, Revision};
use fleet_model::{Name, NodeId, StoreId};
use fleet_protocol::ControllerMessage;
use fleet_protocol::link::LinkSender;
use tokio::sync::mpsc;

use super::end::End;
use super::feed;
use crate::controller::Inner;
use crate::secret;
use crate::state::truth;

/// What the hearing half asks for.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// The controller lives.
    Heartbeat {
        /// From the heartbeat.
        sent_boot_ms: u64,
    },
    /// Outbox numbers up to this one are stored.
    OutboxStored {
        /// The highest.
        seq: u64,
    },
    /// Packets of a spool up to this number are stored.
    PacketsStored {
        /// Whose.
        item: ItemKey,
        /// Which spool.
        spool: StoreId,
        /// The highest.
        seq: u64,
    },
    /// The node needs the values of secrets.
    Secrets {
        /// Of these.
        names: BTreeSet<Name>,
    },
    /// The node wants everything.
    FullSet,
}

/// How far this session has told its node.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// The place of the last statement.
    said: Revision,
    /// The revision up to which there was nothing more to say.
    looked: u64,
}

/// Says until the link ends. It alone sends, so statements are in order.
pub(super) async fn say(
    inner: &Arc<Inner>,
    node: NodeId,
    sender: &mut LinkSender,
    replies: &mut mpsc::Receiver<Reply>,
) -> Result<std::convert::Infallible, End> {
    let mut changes = inner.store.changes();
    let mut told = None;
    loop {
        // Seen before looked: a commit after this line wakes the wait below.
        changes.borrow_and_update();
        let is_asked_again = match told {
            None => full_set(inner, node, sender, replies, &mut told).await?,
            Some(before) => deltas(inner, node, sender, before, &mut told).await?,
        };
        if is_asked_again {
            told = None;
            continue;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Err(End::Stopping) },
            reply = replies.recv() => match reply {
                Some(reply) => if answer(inner, node, sender, reply).await? { told = None },
                None => return Err(End::Stopping),
            },
        }
    }
}

/// States everything. Answers go out between the parts, so that a large set delays no heartbeat.
/// True when the set was asked for again meanwhile.
async fn full_set(
    inner: &Inner,
    node: NodeId,
    sender: &mut LinkSender,
    replies: &mut mpsc::Receiver<Reply>,
    told: &mut Option<Told>,
) -> Result<bool, End> {
    let snapshot = inner.store.snapshot();
    let at = truth(inner.store_id, &snapshot);
    let rows = snapshot.state.items_of(node).cloned().collect();
    drop(snapshot);
    let mut is_asked_again = false;
    for message in feed::full_set(rows, at) {
        sender.send(&message).await?;
        while let Ok(reply) = replies.try_recv() {
            is_asked_again |= answer(inner, node, sender, reply).await?;
        }
    }
    *told = Some(Told {
        said: at.revision,
        looked: at.revision.0,
    });
    Ok(is_asked_again)
}

/// States what has changed, if anything has.
async fn deltas(
    inner: &Inner,
    node: NodeId,
    sender: &mut LinkSender,
    before: Told,
    told: &mut Option<Told>,
) -> Result<bool, End> {
    let snapshot = inner.store.snapshot();
    if snapshot.revision == before.looked {
        return Ok(false);
    }
    let at = truth(inner.store_id, &snapshot);
    let changed = feed::changed(snapshot.state.items_of(node), before.said);
    drop(snapshot);
    let mut said = before.said;
    for message in feed::deltas(changed, before.said, at) {
        sender.send(&message).await?;
        said = at.revision;
    }
    *told = Some(Told {
        said,
        looked: at.revision.0,
    });
    Ok(false)
}

/// Answers. True when everything is to be said again.
async fn answer(
    inner: &Inner,
    node: NodeId,
    sender: &mut LinkSender,
    reply: Reply,
) -> Result<bool, End> {
    let message = match reply {
        Reply::Heartbeat { sent_boot_ms } => ControllerMessage::HeartbeatAck { sent_boot_ms },
        Reply::OutboxStored { seq } => ControllerMessage::OutboxAck { seq },
        Reply::PacketsStored { item, spool, seq } => {
            ControllerMessage::PacketsAck { item, spool, seq }
        }
        Reply::Secrets { names } => {
            let snapshot = inner.store.snapshot();
            let key = &inner.options.sealing_key;
            for answers in secret::answers(&snapshot.state, inner.store_id, key, node, names) {
                sender.send(&ControllerMessage::Secrets { answers }).await?;
            }
            return Ok(false);
        }
        Reply::FullSet => return Ok(true),
    };
    sender.send(&message).await?;
    Ok(false)
}
