//! The first words: who dials, whether it may work, and under which counter.

use std::sync::Arc;

use fleet_model::{Error, NodeId};
use fleet_protocol::link::Link;
use fleet_protocol::message::Hello;
use fleet_protocol::version::SPOKEN;
use fleet_protocol::{ControllerMessage, NodeMessage};
use fleet_store::{Tx, WriteError};

use super::end::End;
use super::{counter, presence};
use crate::controller::Inner;
use crate::state::{Connection, ControllerState, NodeRow, Outbox};

/// What a handshake settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    /// Who dialled.
    pub(super) node: NodeId,
    /// The session's counter, confirmed.
    pub(super) session: u64,
}

/// Shakes hands. When it returns, the counter is durable on both sides.
pub(super) async fn shake(inner: &Arc<Inner>, link: &mut Link) -> Result<Settled, End> {
    let NodeMessage::Hello(hello) = link.receiver.receive().await? else {
        return Err(End::OutOfTurn("something before its hello"));
    };
    let welcome = match welcome(inner, &hello).await {
        Ok(welcome) => welcome,
        Err(error) => {
            link.sender
                .send(&ControllerMessage::Refused {
                    error: error.clone(),
                })
                .await?;
            return Err(End::Refused(error));
        }
    };
    let node = hello.node;
    let session = welcome.session.issued;
    // From here on the session before this one is fenced.
    inner.registry.replace(node);
    let message = ControllerMessage::Welcome {
        protocol: welcome.protocol,
        session,
        heartbeat_ms: inner.options.heartbeat_ms,
        outbox: welcome.outbox.seq,
    };
    link.sender.send(&message).await?;
    match link.receiver.receive().await? {
        NodeMessage::Confirm { session: confirmed } if confirmed == session => {}
        NodeMessage::Goodbye { reason } => return Err(End::Goodbye(reason)),
        _ => return Err(End::OutOfTurn("something else than its confirmation")),
    }
    let journal = inner.journal();
    inner
        .store
        .write(move |tx| presence::begin(tx, journal, *hello, session))
        .await?;
    Ok(Settled { node, session })
}

/// What a node is welcomed with.
struct Welcome {
    protocol: u32,
    session: crate::state::SessionCounter,
    outbox: Outbox,
}

async fn welcome(inner: &Arc<Inner>, hello: &Hello) -> Result<Welcome, Error> {
    let protocol = SPOKEN.agree(hello.versions).ok_or_else(|| {
        Error::unsupported(
            "protocol-version",
            format!(
                "this controller (fleet-host {}) speaks the session protocol {} to {}, the node (fleet-host {}) {} to {}: bring the older one up to date",
                inner.options.host_version, SPOKEN.min, SPOKEN.max, hello.host_version, hello.versions.min, hello.versions.max
            ),
        )
    })?;
    let hello = hello.clone();
    let now_ms = inner.clock.unix_ms();
    let written = inner.store.write(move |tx| issue(tx, hello, now_ms)).await;
    let row = written.map_err(|error| match error {
        WriteError::Refused(error) => error,
        other => crate::refusal::write_failed(other),
    })?;
    Ok(Welcome {
        protocol,
        session: row.session,
        outbox: row.outbox,
    })
}

/// Issues the next counter, durably.
fn issue(tx: &mut Tx<'_, ControllerState>, hello: Hello, now_ms: u64) -> Result<NodeRow, Error> {
    let known = tx.get::<NodeRow>(&hello.node);
    let session = counter::issue(known.as_ref().map(|known| known.session), hello.session)?;
    let fresh = Outbox {
        id: hello.outbox,
        seq: 0,
    };
    let row = match known {
        Some(known) => {
            let outbox = if known.outbox.id == hello.outbox {
                known.outbox
            } else {
                fresh
            };
            NodeRow {
                session,
                outbox,
                ..NodeRow::clone(&known)
            }
        }
        None => NodeRow {
            id: hello.node,
            name: hello.name,
            labels: hello.labels,
            session,
            run_id: hello.run_id,
            machine_boot_id: hello.machine_boot_id,
            outbox: fresh,
            last_seen_ms: now_ms,
            // Told of in the transaction that begins the session.
            plugins: Vec::new(),
            host_version: hello.host_version,
            connection: Connection::Disconnected,
        },
    };
    tx.put(row.clone());
    Ok(row)
}
