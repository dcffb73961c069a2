//! What can go wrong between a caller and a host.

use std::error::Error as StdError;

use fleet_model::{Error, ErrorKind};

/// A request that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server's address cannot be used.
    #[error("`{server}` is not a server address: {problem}")]
    Address {
        /// What was given.
        server: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nobody listens there.
    #[error("nothing answers at {server}")]
    Unreachable {
        /// The server's base address.
        server: String,
        /// What the network said.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Somebody listened, and the connection broke before the answer was complete.
    #[error("the connection to {server} broke")]
    Broken {
        /// The server's base address.
        server: String,
        /// What the network said.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// No answer in time.
    #[error("{server} took the request and did not answer in time")]
    Silent {
        /// The server's base address.
        server: String,
    },
    /// The API refused or failed; `error` is what it said.
    #[error("{error}")]
    Api {
        /// The HTTP status, 0 where the error came inside a stream.
        status: u16,
        /// What the API said.
        error: Error,
    },
    /// An answer that is none of this API.
    #[error("{server} answered {path} with something that is not this API: {problem}")]
    Foreign {
        /// The server's base address.
        server: String,
        /// What was asked for.
        path: String,
        /// What came instead.
        problem: String,
    },
}

impl ClientError {
    /// The kind of failure, in the words of the API.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Address { .. } => ErrorKind::Invalid,
            Self::Unreachable { .. } | Self::Broken { .. } => ErrorKind::Unavailable,
            Self::Silent { .. } => ErrorKind::Deadline,
            Self::Api { error, .. } => error.kind,
            Self::Foreign { .. } => ErrorKind::Other,
        }
    }

    /// Whether what was named does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the API refused the token, or wants one.
    #[must_use]
    pub fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::Api { status: 401, .. })
    }

    /// Whether the connection, not the request, is the trouble.
    #[must_use]
    pub(crate) fn is_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. })
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub(crate) fn may_pass(&self) -> bool {
        self.is_connection() || self.kind().is_retryable()
    }

    /// How long the API asked to be left alone, in milliseconds; 0 where it did not say.
    pub(crate) fn retry_after_ms(&self) -> u64 {
        match self {
            Self::Api { error, .. } => error.retry_after_ms.unwrap_or_default().into(),
            _ => 0,
        }
    }

    /// Whether the host or the node behind it cannot be reached now. What is merely used up
    /// (`exhausted`) is not: more of the same does not help it.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unavailable | ErrorKind::Deadline)
    }
}
