//! Says what the controller should know: that the node lives, reports, what happened, plugins.

use std::sync::Arc;

use fleet_model::event::Event;
use fleet_model::item::ItemStatus;
use fleet_protocol::NodeMessage;
use fleet_protocol::link::LinkSender;
use fleet_protocol::message::OutboxEntry;
use fleet_store::WriteError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{SessionEnd, Told, Welcome};
use crate::context::Context;
use crate::packets::Part;
use crate::readiness::Readiness;

/// Reports in one message.
const REPORTS: usize = 256;

/// Bytes of reports in one message, unless one alone is larger.
const PART_BYTES: usize = 2 * 1024 * 1024;

/// Outbox entries in one message.
const ENTRIES: usize = 256;

pub(super) async fn say(
    context: &Arc<Context>,
    readiness: &Readiness,
    mut sender: LinkSender,
    mut told: mpsc::Receiver<Told>,
    welcome: Welcome,
    stop: &CancellationToken,
) -> Result<(), SessionEnd> {
    let mut commits = context.store.changes();
    let mut plugins = context.drivers.changes();
    // What has changed since the hello was put together would be missed.
    plugins.mark_changed();
    trim(context, welcome.outbox).await?;
    let mut sent = welcome.outbox;
    let mut next_beat_ms = 0;
    // Kept over the rounds: a read that another matter interrupts goes on.
    let mut packets = std::pin::pin!(context.packets.next());
    loop {
        let now_ms = context.clock.boot_ms();
        if now_ms >= next_beat_ms {
            sender
                .send(&NodeMessage::Heartbeat {
                    sent_boot_ms: now_ms,
                })
                .await?;
            next_beat_ms =
                now_ms + u64::try_from(welcome.heartbeat.as_millis()).unwrap_or(u64::MAX);
        }
        let before = sent;
        // One message at a time: what comes from the other side is heard in between.
        sent = send_outbox(context, &mut sender, sent).await?;
        if sent > before {
            readiness.events_sent();
        }
        let is_behind = context.store.snapshot().log_head::<Event>() > sent;
        let until_beat = std::time::Duration::from_millis(next_beat_ms.saturating_sub(now_ms));
        tokio::select! {
            statuses = context.board.take(REPORTS) => {
                for statuses in parts(statuses) {
                    sender.send(&NodeMessage::Status { statuses }).await?;
                }
            }
            Ok(()) = commits.changed() => {}
            () = std::future::ready(()), if is_behind => {}
            names = context.secrets.question() => sender.send(&NodeMessage::WantSecrets { names }).await?,
            part = &mut packets, if !is_behind => {
                packets.set(context.packets.next());
                let Part { item, spool, packets } = part;
                sender.send(&NodeMessage::Packets { item, spool, packets }).await?;
            }
            Ok(()) = plugins.changed() => sender.send(&NodeMessage::Plugins { plugins: context.plugins() }).await?,
            Some(told) = told.recv() => match told {
                Told::WantFullSet => sender.send(&NodeMessage::WantFullSet).await?,
                Told::Behind(seen) => sender.send(&NodeMessage::ControllerBehind { seen }).await?,
                Told::OutboxStored(seq) => {
                    readiness.events_stored();
                    if seq < sent {
                        readiness.events_sent();
                    }
                    trim(context, seq).await?;
                }
            },
            () = context.clock.sleep(until_beat) => {}
            () = stop.cancelled() => {
                let reason = "the node's host is stopping; its workloads keep running".to_owned();
                sender.send(&NodeMessage::Goodbye { reason }).await?;
                return Ok(());
            }
        }
    }
}

/// Reports in messages that stay well below the largest frame, however much backends say.
fn parts(statuses: Vec<ItemStatus>) -> Vec<Vec<ItemStatus>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = 0;
    for status in statuses {
        let size = serde_json::to_vec(&status).map_or(0, |text| text.len());
        if bytes + size > PART_BYTES && bytes > 0 {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(part) = parts.last_mut() {
            part.push(status);
        }
    }
    parts
}

/// Sends some of what has been added since `sent`, and answers the new place.
async fn send_outbox(
    context: &Context,
    sender: &mut LinkSender,
    sent: u64,
) -> Result<u64, SessionEnd> {
    let head = context.store.snapshot().log_head::<Event>();
    if head <= sent {
        return Ok(sent);
    }
    let entries = context
        .store
        .read_log::<Event>(sent, ENTRIES)
        .await
        .map_err(|error| {
            tracing::error!(%error, "the outbox cannot be read");
            SessionEnd::NoRoom
        })?;
    let Some((last, ..)) = entries.last() else {
        // All of it was trimmed: it is stored.
        return Ok(head);
    };
    let last = *last;
    let entries = entries
        .into_iter()
        .map(|(seq, at_ms, event)| OutboxEntry { seq, at_ms, event })
        .collect();
    sender.send(&NodeMessage::Outbox { entries }).await?;
    Ok(last)
}

/// Forgets what is stored on the other side.
async fn trim(context: &Context, through: u64) -> Result<(), SessionEnd> {
    let trimmed = context
        .store
        .write(move |tx| -> Result<(), std::convert::Infallible> {
            tx.trim::<Event>(through);
            Ok(())
        });
    match trimmed.await {
        // A full disk keeps a few entries longer; they are not sent again in this session.
        Ok(()) | Err(WriteError::Full(_) | WriteError::Busy(_)) => Ok(()),
        Err(error) => Err(SessionEnd::of_write(&error)),
    }
}
