//! The address of the API: loopback, because there is no TLS ([`crate::config`] sees to it).

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::failure::{Exit, Failure, reason};

/// Connections that may wait to be taken.
const WAITING: u32 = 1_024;

/// An address that is this host's. Nobody is answered there before what they need, the token above all,
/// is in its place: until then a client is told that nothing answers.
pub(super) struct Held {
    socket: TcpSocket,
    address: SocketAddr,
}

/// Takes an address.
pub(super) fn hold(address: SocketAddr) -> Result<Held, Failure> {
    let take = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Connections of a host before this one may still be closing.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok(Held { socket, address })
    };
    take().map_err(|error| refused(address, &error))
}

impl Held {
    /// The address, with the port that was picked.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens.
    pub(super) fn listen(self) -> Result<TcpListener, Failure> {
        let Self { socket, address } = self;
        socket
            .listen(WAITING)
            .map_err(|error| refused(address, &error))
    }
}

fn refused(address: SocketAddr, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::AddrInUse => Failure::new(
            Exit::Refused,
            format!("{address} is in use by another program, or another host"),
        )
        .help(format!(
            "stop that one, or name another address: `--listen {}:0` picks a free port",
            shown(address)
        )),
        _ => Failure::failed(format!("cannot listen on {address}: {}", reason(error)))
            .help("name another address with --listen, as in 127.0.0.1:7300"),
    }
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
        let held = hold("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = held.address();
        assert!(std::net::TcpStream::connect(address).is_err(), "too early");
        // Until it listens another may take the address too, but not listen there.
        let other = hold(address).unwrap();
        let _listening = held.listen().unwrap();
        drop(std::net::TcpStream::connect(address).unwrap());
        assert_eq!(other.listen().unwrap_err().exit, Exit::Refused);
        let Err(failure) = hold(address) else {
            panic!("it was taken");
        };
        assert_eq!(failure.exit, Exit::Refused);
        assert!(
            failure.message.contains(&address.to_string()),
            "{failure:?}"
        );
        assert!(failure.help.unwrap().contains("--listen 127.0.0.1:0"));
    }
}
