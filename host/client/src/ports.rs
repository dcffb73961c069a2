//! Connections to the ports of workloads.

use std::fmt;
use std::io;

use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::backoff::Outage;
use crate::client::{Client, segment, workload_path};
use crate::error::ClientError;
use crate::request::Ask;
use crate::websocket::{self, Socket};

/// The most bytes of one message.
const CHUNK_BYTES: usize = 32 * 1024;

impl Client {
    /// Connects to a port of a workload: by the port's name, or its number inside the workload or at its node.
    /// While the host or the workload's node is away, waits for it as long as the client is
    /// [patient](crate::ClientOptions::patience).
    ///
    /// # Errors
    /// As every call; `no-such-port`, `nobody-listens`, `not-running`.
    pub async fn connect_port(
        &self,
        name: &str,
        port: &str,
    ) -> Result<PortConnection, ClientError> {
        let path = workload_path(name, &format!("/ports/{}/connect", segment(port)));
        let ask = Ask::get(path);
        let mut outage = Outage::patient(self, self.patience());
        loop {
            match websocket::open(self, &ask).await {
                Ok(socket) => return Ok(PortConnection(socket)),
                Err(failure) if is_away(&failure) && outage.lost(self).await => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Whether it is the host or the node that is missing, and not the program.
fn is_away(failure: &ClientError) -> bool {
    match failure {
        ClientError::Api { error, .. } => {
            matches!(
                error.code.as_str(),
                "node-away" | "node-gone" | "host-stopping"
            )
        }
        other => other.is_connection(),
    }
}

/// A connection to a port of a workload.
pub struct PortConnection(Socket);

impl fmt::Debug for PortConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortConnection").finish_non_exhaustive()
    }
}

impl PortConnection {
    /// Carries bytes between it and `io` until both directions have ended, each by itself, or until the
    /// program has said all and takes nothing more.
    ///
    /// # Errors
    /// When one of them breaks off; the other one is then dropped without an end.
    pub async fn carry(self, io: impl AsyncRead + AsyncWrite) -> Result<(), Cut> {
        let (mut say, mut hear) = self.0.split();
        let (mut read, mut write) = tokio::io::split(io);
        let outward = async {
            let mut buffer = BytesMut::new();
            loop {
                buffer.reserve(CHUNK_BYTES);
                let count = (&mut read)
                    .take(CHUNK_BYTES as u64)
                    .read_buf(&mut buffer)
                    .await
                    .map_err(Cut::Local)?;
                let message = Message::Binary(buffer.split().freeze());
                // How it ends is heard, not said.
                if say.send(message).await.is_err() || count == 0 {
                    return std::future::pending::<Result<(), Cut>>().await;
                }
            }
        };
        let inward = async {
            loop {
                match hear.next().await {
                    Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => {
                        // One whose far end is gone already needs no end.
                        let _ = write.shutdown().await;
                    }
                    Some(Ok(Message::Binary(bytes))) => {
                        write.write_all(&bytes).await.map_err(Cut::Local)?;
                    }
                    Some(Ok(Message::Close(close))) => return closed(close.as_ref()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => {
                        return Err(Cut::Remote("the host went away".to_owned()));
                    }
                }
            }
        };
        tokio::select! {
            heard = inward => heard,
            said = outward => said,
        }
    }
}

/// Which side broke off.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// What the connection was carried to.
    #[error("the local connection broke off")]
    Local(#[source] io::Error),
    /// The connection to the workload, and why as far as the host says.
    #[error("{0}")]
    Remote(String),
}

/// How the host ended it.
fn closed(close: Option<&CloseFrame>) -> Result<(), Cut> {
    let why = match close {
        Some(close) if close.code == CloseCode::Normal => return Ok(()),
        Some(close) if !close.reason.is_empty() => close.reason.to_string(),
        _ => "the host ended it".to_owned(),
    };
    Err(Cut::Remote(why))
}
