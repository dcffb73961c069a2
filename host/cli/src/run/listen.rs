//! The address of the API: loopback, because there is no TLS ([`crate::config`] sees to it).

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::failure::{Exit, Failure, reason};

/// Listens.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => Failure::new(
                Exit::Refused,
                format!("{address} is in use by another program, or another host"),
            )
            .help(format!(
                "stop that one, or name another address: `--listen {}:0` picks a free port",
                shown(address)
            )),
            _ => Failure::failed(format!("cannot listen on {address}: {}", reason(&error)))
                .help("name another address with --listen, as in 127.0.0.1:7300"),
        })
}

fn shown(address: SocketAddr) -> String {
    if address.is_ipv6() {
        format!("[{}]", address.ip())
    } else {
        address.ip().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_refused_with_the_way_out() {
        let held = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = held.local_addr().unwrap();
        let failure = listen(address).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert!(
            failure.message.contains(&address.to_string()),
            "{failure:?}"
        );
        assert!(failure.help.unwrap().contains("--listen 127.0.0.1:0"));
    }
}
