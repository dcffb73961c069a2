//! How a session ends.

use fleet_model::Error;
use fleet_protocol::link::LinkError;
use fleet_store::WriteError;

use crate::state::Connection;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The link broke, or something came over it that is no message.
    #[error("the link ended")]
    Link(#[from] LinkError),
    /// The node may not work.
    #[error("the node was refused: {0}")]
    Refused(Error),
    /// The handshake took too long.
    #[error("the handshake took too long")]
    Slow,
    /// The node said something out of turn.
    #[error("the node sent {0} out of turn")]
    OutOfTurn(&'static str),
    /// The node has not been heard for too long.
    #[error("the node fell silent")]
    Silent,
    /// The node ended it in order.
    #[error("the node said goodbye: {0}")]
    Goodbye(String),
    /// A later session of the node has taken over.
    #[error("a later session of the node has taken over")]
    Replaced,
    /// The host stops.
    #[error("the host is stopping")]
    Stopping,
    /// What the node said cannot be written down now.
    #[error("the controller cannot write now: {0}")]
    Unwritable(Error),
}

impl End {
    /// What the node is told, if it can be told anything.
    pub(super) fn goodbye(&self) -> Option<String> {
        match self {
            Self::Link(LinkError::Malformed(_) | LinkError::TooLarge { .. })
            | Self::OutOfTurn(_) => Some("the session broke its protocol".to_owned()),
            Self::Link(_) | Self::Refused(_) | Self::Slow | Self::Goodbye(_) => None,
            Self::Silent | Self::Replaced | Self::Stopping | Self::Unwritable(_) => {
                Some(self.to_string())
            }
        }
    }

    /// What is known of the node after it.
    pub(super) fn connection(&self) -> Connection {
        match self {
            Self::Silent => Connection::Unknown,
            _ => Connection::Disconnected,
        }
    }
}

/// A write that did not succeed ends the session: the node says everything again in the next one.
impl From<WriteError<Error>> for End {
    fn from(error: WriteError<Error>) -> Self {
        match error {
            WriteError::Refused(_) => Self::Replaced,
            other => Self::Unwritable(crate::refusal::write_failed(other)),
        }
    }
}
