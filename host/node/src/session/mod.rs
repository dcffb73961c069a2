//! The node's end of a session: dial, shake hands, then say and hear until the link ends; then again.
//!
//! Whatever happens to a session, the node's work goes on; the next session says again what this
//! one did not get across. Only the outbox is a queue, and it is durable.

mod handshake;
mod hear;
mod say;

use std::sync::Arc;
use std::time::Duration;

use fleet_model::item::Revision;
use fleet_protocol::bulk::Acceptor;
use fleet_protocol::link::LinkError;
use fleet_protocol::transport::Dialer;
use fleet_store::WriteError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::hub::Hub;
use crate::readiness::Readiness;
use crate::streams;

/// The longest pause between two tries to reach the controller.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Intervals of silence after which the controller counts as gone.
const SILENT_HEARTBEATS: u32 = 3;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionEnd {
    /// The link broke or said something else than the protocol.
    #[error("the link to the controller ended")]
    Link(#[from] LinkError),
    /// Nobody answered the dial.
    #[error("the controller cannot be reached")]
    Dial(#[source] std::io::Error),
    /// The controller does not want this node.
    #[error("the controller refused this node: {0}")]
    Refused(fleet_model::Error),
    /// The controller did not answer in time.
    #[error("the controller has been silent for too long")]
    Silent,
    /// The controller said goodbye.
    #[error("the controller ended the session: {0}")]
    Goodbye(String),
    /// What came is not what the protocol has in this place.
    #[error("the controller spoke out of turn")]
    OutOfTurn,
    /// What was agreed or stated could not be written down or read; the next session says it again.
    #[error("the node cannot use its data folder")]
    NoRoom,
    /// The node's store takes no more writes.
    #[error("the node's store has failed")]
    Halted,
}

impl SessionEnd {
    /// What a write that failed means for the session.
    fn of_write<E>(error: &WriteError<E>) -> Self {
        match error {
            WriteError::Closed | WriteError::Failed(_) => Self::Halted,
            _ => Self::NoRoom,
        }
    }
}

/// What the saying half is told by the hearing half.
#[derive(Debug)]
enum Told {
    /// Ask for everything.
    WantFullSet,
    /// The controller is behind what was seen.
    Behind(fleet_protocol::message::Seen),
    /// Outbox numbers up to this one are stored.
    OutboxStored(u64),
}

/// Keeps a session open until `stop`.
pub(crate) async fn keep(
    context: Arc<Context>,
    hub: Arc<Hub>,
    readiness: Arc<Readiness>,
    dialer: Arc<dyn Dialer>,
    stop: CancellationToken,
) {
    let mut failures = 0_u32;
    while !stop.is_cancelled() {
        let end = once(&context, &hub, &readiness, dialer.as_ref(), &stop).await;
        let lasted = readiness.session_ended();
        failures = if lasted {
            0
        } else {
            failures.saturating_add(1)
        };
        match end {
            _ if stop.is_cancelled() => return,
            Err(SessionEnd::Halted) => return,
            Ok(()) => {}
            Err(end) => {
                let cause = std::error::Error::source(&end).map(ToString::to_string);
                tracing::warn!(%end, cause, "session ended; dialling again");
            }
        }
        let around = Duration::from_millis(100 << failures.min(6)).min(MAX_PAUSE * 2 / 3);
        tokio::select! {
            () = context.clock.sleep(context.entropy.jitter(around)) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn once(
    context: &Arc<Context>,
    hub: &Arc<Hub>,
    readiness: &Arc<Readiness>,
    dialer: &dyn Dialer,
    stop: &CancellationToken,
) -> Result<(), SessionEnd> {
    let mut connection = tokio::select! {
        connection = dialer.dial() => connection.map_err(SessionEnd::Dial)?,
        () = context.clock.sleep(HANDSHAKE) => return Err(SessionEnd::Silent),
        () = stop.cancelled() => return Ok(()),
    };
    let welcome = tokio::select! {
        welcome = handshake::shake(context, &mut connection.control) => welcome?,
        () = context.clock.sleep(HANDSHAKE) => return Err(SessionEnd::Silent),
        () = stop.cancelled() => return Ok(()),
    };
    let (acceptor, bulk) = Acceptor::over(connection.bulk);
    let (tell, told) = mpsc::channel(64);
    context.board.tell_all_again();
    context.packets.rewind();
    let _questions = Questions::taken(context);
    readiness.session_began();
    let heard = hear::hear(
        context,
        hub,
        readiness,
        connection.control.receiver,
        tell,
        welcome.heartbeat,
    );
    let said = say::say(
        context,
        readiness,
        connection.control.sender,
        told,
        welcome,
        stop,
    );
    // All four end together: what one of them spawned or holds goes with the session.
    tokio::select! {
        end = heard => end,
        end = said => end,
        () = bulk => Err(SessionEnd::Link(LinkError::Closed)),
        () = streams::serve(context.clone(), acceptor) => Err(SessionEnd::Link(LinkError::Closed)),
    }
}

/// Questions for secrets are taken for as long as a session stands.
struct Questions<'a>(&'a Context);

impl<'a> Questions<'a> {
    fn taken(context: &'a Context) -> Self {
        context.secrets.opened();
        Self(context)
    }
}

impl Drop for Questions<'_> {
    fn drop(&mut self) {
        self.0.secrets.closed();
    }
}

/// What a welcome settled.
#[derive(Debug, Clone, Copy)]
struct Welcome {
    /// How often to say that the node lives.
    heartbeat: Duration,
    /// The highest outbox number the controller has.
    outbox: u64,
}

/// The place of the last statement in this session.
type Last = Option<Revision>;
