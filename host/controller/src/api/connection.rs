//! A connection's place among those that a host takes.
//!
//! Whoever accepts connections counts them, and what is counted ends with HTTP on a connection. One that
//! changes to another protocol goes on as long as it likes: then whoever carries it keeps its place.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

/// A connection's place, free again when the last clone is dropped. Whoever serves the API puts it into the
/// extensions of every request of the connection.
#[derive(Debug, Clone)]
pub struct ConnectionPlace {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl ConnectionPlace {
    /// The place that this permit is for.
    #[must_use]
    pub fn new(permit: OwnedSemaphorePermit) -> Self {
        Self {
            _permit: Arc::new(permit),
        }
    }
}
