//! Where the bytes of a session run.
//!
//! A node holds a [`Dialer`], a controller a listener. In one process both ends are
//! [`memory`]; a simulation puts its own network here.

use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::mpsc;

use crate::link::Link;

/// Any two-way byte stream.
pub trait Bytes: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Bytes for T {}

/// A dialled session: the control link and the bulk connection bound to it.
pub struct Connection {
    /// Small messages.
    pub control: Link,
    /// Streams.
    pub bulk: Box<dyn Bytes>,
}

/// How a node reaches its controller.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// Dials once.
    ///
    /// # Errors
    /// When nobody answers.
    async fn dial(&self) -> io::Result<Connection>;
}

/// How a controller hears of nodes.
#[async_trait]
pub trait Listener: Send + 'static {
    /// The next node that dials; `None` when there will be no more.
    async fn accept(&mut self) -> Option<Connection>;
}

/// Bytes under way in memory before a writer waits.
const PIPE_BYTES: usize = 64 * 1024;

/// The two ends of an in-memory transport.
#[must_use]
pub fn memory() -> (MemoryDialer, MemoryListener) {
    let (dialled, accepted) = mpsc::channel(8);
    (MemoryDialer { dialled }, MemoryListener { accepted })
}

/// Dials within the process.
#[derive(Debug, Clone)]
pub struct MemoryDialer {
    dialled: mpsc::Sender<(DuplexStream, DuplexStream)>,
}

/// Accepts within the process.
#[derive(Debug)]
pub struct MemoryListener {
    accepted: mpsc::Receiver<(DuplexStream, DuplexStream)>,
}

#[async_trait]
impl Dialer for MemoryDialer {
    async fn dial(&self) -> io::Result<Connection> {
        let (control, far_control) = tokio::io::duplex(PIPE_BYTES);
        let (bulk, far_bulk) = tokio::io::duplex(PIPE_BYTES);
        self.dialled
            .send((far_control, far_bulk))
            .await
            .map_err(|_| {
                io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    "the controller has stopped",
                )
            })?;
        Ok(connection(control, bulk))
    }
}

#[async_trait]
impl Listener for MemoryListener {
    async fn accept(&mut self) -> Option<Connection> {
        let (control, bulk) = self.accepted.recv().await?;
        Some(connection(control, bulk))
    }
}

fn connection(control: DuplexStream, bulk: DuplexStream) -> Connection {
    Connection {
        control: Link::over_bytes(control),
        bulk: Box::new(bulk),
    }
}
