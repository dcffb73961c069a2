//! Says who this node is, hears whether it may work, and makes the session durable first.

use std::convert::Infallible;
use std::time::Duration;

use fleet_model::item::Inventory;
use fleet_protocol::link::Link;
use fleet_protocol::message::Hello;
use fleet_protocol::version::SPOKEN;
use fleet_protocol::{ControllerMessage, NodeMessage};

use super::{SessionEnd, Welcome};
use crate::context::Context;
use crate::state::Identity;

pub(super) async fn shake(context: &Context, link: &mut Link) -> Result<Welcome, SessionEnd> {
    let snapshot = context.store.snapshot();
    let identity = snapshot
        .state
        .identity
        .get(&Identity::KEY)
        .ok_or(SessionEnd::Halted)?;
    let hello = Hello {
        versions: SPOKEN,
        node: context.node,
        name: context.name.clone(),
        labels: context.labels.clone(),
        machine_boot_id: context.boot.clone(),
        run_id: context.run,
        session: identity.session,
        host_version: env!("CARGO_PKG_VERSION").to_owned(),
        seen: identity.seen,
        inventory: snapshot
            .state
            .items
            .values()
            .filter(|record| !record.removed)
            .map(|record| Inventory {
                id: record.item.id.clone(),
                generation: record.item.generation,
            })
            .collect(),
        outbox: identity.outbox,
        plugins: context.plugins(),
    };
    link.sender
        .send(&NodeMessage::Hello(Box::new(hello)))
        .await?;
    let (session, heartbeat_ms, outbox) = match link.receiver.receive().await? {
        ControllerMessage::Welcome {
            session,
            heartbeat_ms,
            outbox,
            ..
        } => (session, heartbeat_ms, outbox),
        ControllerMessage::Refused { error } => return Err(SessionEnd::Refused(error)),
        ControllerMessage::Goodbye { reason } => return Err(SessionEnd::Goodbye(reason)),
        _ => return Err(SessionEnd::OutOfTurn),
    };
    // Durable before it is confirmed: a copy of this disk that wakes up later is told apart by it.
    let stored = context.store.write(move |tx| -> Result<(), Infallible> {
        if let Some(identity) = tx.get::<Identity>(&Identity::KEY) {
            tx.put(Identity {
                session,
                ..Identity::clone(&identity)
            });
        }
        Ok(())
    });
    stored.await.map_err(|error| SessionEnd::of_write(&error))?;
    link.sender.send(&NodeMessage::Confirm { session }).await?;
    Ok(Welcome {
        heartbeat: Duration::from_millis(heartbeat_ms.clamp(50, 60_000)),
        outbox,
    })
}
