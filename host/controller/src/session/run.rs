//! One session from the first word to the last.

use std::sync::Arc;
use std::time::Duration;

use fleet_protocol::ControllerMessage;
use fleet_protocol::bulk::Opener;
use fleet_protocol::link::{LinkError, LinkSender};
use fleet_protocol::transport::Connection;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::end::End;
use super::handshake::{self, Settled};
use super::hear::hear;
use super::presence;
use super::registry::{Heard, Live};
use super::say::say;
use crate::controller::Inner;

/// Answers that may wait to be sent; past that the node is not heard until they are.
const REPLIES: usize = 64;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Runs a session until it ends or `stop`.
pub(super) async fn run(inner: Arc<Inner>, connection: Connection, stop: CancellationToken) {
    let Connection {
        control: mut link,
        bulk,
    } = connection;
    let handshake = Duration::from_millis(inner.options.limits.handshake_ms);
    let settled = tokio::select! {
        settled = handshake::shake(&inner, &mut link) => settled,
        () = inner.clock.sleep(handshake) => Err(End::Slow),
        () = stop.cancelled() => Err(End::Stopping),
    };
    let settled = match settled {
        Ok(settled) => settled,
        Err(end) => {
            log(&end, None);
            return say_goodbye(&inner, &mut link.sender, &end).await;
        }
    };
    let (opener, drive) = Opener::over(bulk);
    // A task of its own, so that bytes do not wait for messages nor messages for bytes.
    let mut bulk = AbortOnDropHandle::new(tokio::spawn(drive));
    let live = Live {
        session: settled.session,
        opener,
        replaced: CancellationToken::new(),
        over: CancellationToken::new(),
        heard: Arc::new(Heard::now(inner.clock.as_ref())),
    };
    inner.registry.enter(settled.node, live.clone());
    let (ask, mut replies) = mpsc::channel(REPLIES);
    let end = tokio::select! {
        Err(end) = hear(&inner, settled, &mut link.receiver, &live.heard, &ask) => end,
        Err(end) = say(&inner, settled.node, &mut link.sender, &mut replies) => end,
        () = silence(&inner, &live.heard) => End::Silent,
        _ = &mut bulk => End::Link(LinkError::Closed),
        () = live.replaced.cancelled() => End::Replaced,
        () = stop.cancelled() => End::Stopping,
    };
    log(&end, Some(settled));
    inner.registry.leave(settled.node, settled.session);
    live.over.cancel();
    say_goodbye(&inner, &mut link.sender, &end).await;
    write_down(&inner, settled, &live.heard, &end).await;
}

/// Returns when the node has not been heard for too long.
async fn silence(inner: &Inner, heard: &Heard) {
    let limit_ms = inner.options.unknown_after_ms;
    loop {
        let silent_ms = inner.clock.boot_ms().saturating_sub(heard.boot_ms());
        if silent_ms >= limit_ms {
            return;
        }
        inner
            .clock
            .sleep(Duration::from_millis(limit_ms - silent_ms))
            .await;
    }
}

/// A node that does not take it in time is not waited for.
async fn say_goodbye(inner: &Inner, sender: &mut LinkSender, end: &End) {
    let Some(reason) = end.goodbye() else { return };
    let goodbye = ControllerMessage::Goodbye { reason };
    tokio::select! {
        // The link may be broken; then the node knows.
        _ = sender.send(&goodbye) => {}
        () = inner.clock.sleep(GOODBYE) => {}
    }
}

async fn write_down(inner: &Inner, settled: Settled, heard: &Heard, end: &End) {
    let journal = inner.journal();
    let (how, reason) = ((end.connection(), heard.unix_ms()), end.to_string());
    let Settled { node, session } = settled;
    let written = inner
        .store
        .write(move |tx| presence::end(tx, journal, node, session, how, reason))
        .await;
    if let Err(error) = written
        && !matches!(end, End::Replaced)
    {
        tracing::warn!(%node, error = &error as &dyn std::error::Error, "the end of a session was not written down");
    }
}

fn log(end: &End, settled: Option<Settled>) {
    let cause = std::error::Error::source(end).map(ToString::to_string);
    match (end, settled) {
        (End::Stopping | End::Goodbye(_), settled) => {
            tracing::info!(%end, node = settled.map(|settled| settled.node.to_string()), "a session ended");
        }
        (_, Some(Settled { node, session })) => {
            tracing::warn!(%node, session, %end, cause, "a session ended")
        }
        (_, None) => tracing::warn!(%end, cause, "a handshake failed"),
    }
}
