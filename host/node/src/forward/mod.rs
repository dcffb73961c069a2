//! Connections to the ports of workloads.
//!
//! Only to ports that the workload declared, which belong to it alone among workloads and which nobody
//! listened on when it was begun (`crate::ports`). Whoever may begin workloads here decides what listens
//! there from then on: this is no wall between them and the machine. Where the program's bytes go, they go as they come: see
//! [`fleet_protocol::port`].

mod choose;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use fleet_model::Error;
use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::WorkloadIntent;
use fleet_protocol::bulk::Pending;
use fleet_protocol::port::carry;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::context::Context;
use crate::running::running;
use choose::choose;

/// How long a connection on loopback may take to be made: one whose program accepts nothing for long
/// is not waited for.
const CONNECT: Duration = Duration::from_secs(5);

/// Answers one request.
pub(crate) async fn answer(
    context: &Arc<Context>,
    pending: Pending,
    item: ItemKey,
    generation: Generation,
    port: &str,
) -> io::Result<()> {
    match open(context, &item, generation, port).await {
        Ok(connection) => carry(pending.accept().await?, connection).await,
        Err(error) => pending.refuse(error).await,
    }
}

/// Connects to a port of a run that is running.
async fn open(
    context: &Context,
    item: &ItemKey,
    generation: Generation,
    asked: &str,
) -> Result<TcpStream, Error> {
    running(context, item, generation).await?;
    let snapshot = context.store.snapshot();
    let record = snapshot
        .state
        .items
        .get(item)
        .ok_or_else(|| Error::not_found("workload-not-found", "it has been removed"))?;
    let inside = record
        .item
        .intent
        .as_ref()
        .and_then(|intent| WorkloadIntent::deserialize(intent).ok())
        .map(|intent| intent.spec.ports)
        .unwrap_or_default();
    let chosen = choose(asked, &inside, &record.ports)?;
    tokio::select! {
        connected = connect(chosen.port) => connected.map_err(|error| chosen.deaf(&error)),
        () = context.clock.sleep(CONNECT) => Err(chosen.deaf(&io::ErrorKind::TimedOut.into())),
    }
}

/// Connects on loopback, by IPv4 if somebody listens there.
async fn connect(port: u16) -> io::Result<TcpStream> {
    let by = |address: IpAddr| TcpStream::connect((address, port));
    let stream = match by(Ipv4Addr::LOCALHOST.into()).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // Where there is no IPv6, what IPv4 said is what counts.
            by(Ipv6Addr::LOCALHOST.into()).await.map_err(|_| error)?
        }
        other => other?,
    };
    // Small answers should not wait for more to come.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn whoever_listens_on_either_loopback_is_found() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address).await else {
                // A machine without IPv6.
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            assert_eq!(
                connect(port).await.unwrap().peer_addr().unwrap().port(),
                port
            );
            drop(listener);
            let refused = connect(port).await.unwrap_err();
            assert_eq!(
                refused.kind(),
                io::ErrorKind::ConnectionRefused,
                "{address}"
            );
        }
    }
}
