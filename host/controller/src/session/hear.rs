//! Hears the node: writes down what it reports, passes on what it asks.

use std::sync::Arc;

use fleet_protocol::NodeMessage;
use fleet_protocol::link::LinkReceiver;
use fleet_protocol::message::Seen;
use tokio::sync::mpsc;

use super::end::End;
use super::handshake::Settled;
use super::registry::Heard;
use super::say::Reply;
use super::{packets, presence, report};
use crate::controller::Inner;
use crate::journal::about_node;

/// Hears until the link ends. What is heard is durable before the next message is taken, so a node
/// that says more than can be written waits.
pub(super) async fn hear(
    inner: &Arc<Inner>,
    settled: Settled,
    receiver: &mut LinkReceiver,
    heard: &Heard,
    replies: &mpsc::Sender<Reply>,
) -> Result<std::convert::Infallible, End> {
    let Settled { node, session } = settled;
    let mut is_behind_reported = false;
    loop {
        let message = receiver.receive().await?;
        heard.again(inner.clock.as_ref());
        let journal = inner.journal();
        match message {
            NodeMessage::Heartbeat { sent_boot_ms } => {
                ask(replies, Reply::Heartbeat { sent_boot_ms }).await?
            }
            NodeMessage::Status { statuses } => {
                let ignored = inner
                    .store
                    .write(move |tx| report::statuses(tx, journal, settled, statuses))
                    .await?;
                for item in ignored {
                    tracing::warn!(%node, %item, "the node reports an item or a generation this controller never stated; ignored");
                }
            }
            NodeMessage::Outbox { entries } => {
                let seq = inner
                    .store
                    .write(move |tx| report::outbox(tx, journal, settled, entries))
                    .await?;
                ask(replies, Reply::OutboxStored { seq }).await?;
            }
            NodeMessage::WantSecrets { names } => ask(replies, Reply::Secrets { names }).await?,
            NodeMessage::Packets {
                item,
                spool,
                packets,
            } => {
                let about = item.clone();
                let seq = inner
                    .store
                    .write(move |tx| packets::packets(tx, settled, &about, spool, packets))
                    .await?;
                ask(replies, Reply::PacketsStored { item, spool, seq }).await?;
            }
            NodeMessage::Plugins { plugins } => {
                inner
                    .store
                    .write(move |tx| presence::plugins(tx, journal, node, session, plugins))
                    .await?;
            }
            NodeMessage::WantFullSet => ask(replies, Reply::FullSet).await?,
            NodeMessage::ControllerBehind { seen } => {
                if !is_behind_reported {
                    is_behind_reported = true;
                    behind(inner, settled, seen).await?;
                }
            }
            NodeMessage::Goodbye { reason } => return Err(End::Goodbye(reason)),
            NodeMessage::Hello(_) => return Err(End::OutOfTurn("a second hello")),
            NodeMessage::Confirm { .. } => return Err(End::OutOfTurn("a second confirmation")),
        }
    }
}

/// The saying half ends only with the session.
async fn ask(replies: &mpsc::Sender<Reply>, reply: Reply) -> Result<(), End> {
    replies.send(reply).await.map_err(|_| End::Stopping)
}

/// The node has seen more than this controller knows: its store was restored, or is another one.
async fn behind(inner: &Inner, Settled { node, .. }: Settled, seen: Seen) -> Result<(), End> {
    let message = format!(
        "the node has seen revision {} of store {}, which is more than this controller knows; it changes nothing until that store is back",
        seen.revision, seen.store
    );
    tracing::error!(%node, "{message}");
    let journal = inner.journal();
    let write = inner.store.write(move |tx| {
        let row = presence::row(tx, node)?;
        let mut event = about_node("node.controller-behind", &row, message);
        event.details.extend([
            ("store".to_owned(), seen.store.to_string()),
            ("incarnation".to_owned(), seen.incarnation.to_string()),
            ("revision".to_owned(), seen.revision.to_string()),
        ]);
        journal.record(tx, event);
        Ok(())
    });
    Ok(write.await?)
}
