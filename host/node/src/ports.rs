//! Chooses the ports of a workload.
//!
//! A named port gets a number on the node's loopback when the workload is first begun, and keeps
//! it until the workload is removed. Where the backend's workloads share the node's network (the
//! default), a port with a fixed number is that number; where they have their own
//! (`network = "mapped"` in the backend's description), every port gets a free one.
//!
//! A fixed number that somebody listens on already is not given: the program could not listen there, and
//! whoever asks for its port would be led to somebody else's. That is looked at once, before the workload is
//! begun; who listens later is the business of the machine's owner.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use fleet_model::driver::Port;
use fleet_model::{Error, Name};

/// How long somebody who listens may take to be connected to.
const CONNECT: Duration = Duration::from_secs(1);

/// Whose network a backend's workloads are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// The node's.
    Shared,
    /// Their own; ports are mapped into it.
    Mapped,
}

/// Ports that were free a moment ago, still held so that nobody takes them before they are chosen.
pub(crate) struct Candidates(Vec<(u16, TcpListener)>);

impl Candidates {
    /// Finds `count` free ports on loopback.
    ///
    /// # Errors
    /// `exhausted` where the machine has no free port.
    pub(crate) fn find(count: usize) -> Result<Self, Error> {
        (0..count)
            .map(|_| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                Ok((listener.local_addr()?.port(), listener))
            })
            .collect::<std::io::Result<_>>()
            .map(Self)
            .map_err(|error| {
                Error::new(
                    fleet_model::ErrorKind::Exhausted,
                    "no-free-port",
                    format!("no free port on loopback: {error}"),
                )
            })
    }

    /// Their numbers.
    pub(crate) fn numbers(&self) -> Vec<u16> {
        self.0.iter().map(|(port, _)| *port).collect()
    }
}

/// Looks whether somebody listens on a fixed number. Blocks for as long as loopback takes to answer.
///
/// # Errors
/// `unavailable` (`port-in-use`): it may be free later.
pub(crate) fn check_fixed(wanted: &BTreeMap<Name, u16>, network: Network) -> Result<(), Error> {
    let mut fixed = wanted.iter().filter(|(_, port)| **port != 0);
    match fixed.find(|(_, port)| network == Network::Shared && is_in_use(**port)) {
        Some((name, port)) => Err(port_in_use(name, *port)),
        None => Ok(()),
    }
}

/// Whether somebody listens on this port of either loopback.
fn is_in_use(port: u16) -> bool {
    let loopbacks: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    loopbacks.into_iter().any(|address| {
        let address = SocketAddr::new(address, port);
        match TcpListener::bind(address) {
            Ok(_) => false,
            // A port that this user may not take tells only those who ask there.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let connected = TcpStream::connect_timeout(&address, CONNECT);
                connected.is_ok()
            }
            Err(error) => error.kind() == io::ErrorKind::AddrInUse,
        }
    })
}

fn port_in_use(name: &Name, port: u16) -> Error {
    Error::unavailable(
        "port-in-use",
        format!(
            "somebody listens on the port {port} (`{name}`) of this node already: end that program, or leave the number out \
             and the node picks a free one"
        ),
    )
}

/// How many candidates make sure that enough are left when some belong to workloads that do not
/// listen at this moment.
pub(crate) fn candidates_for(wanted: usize, taken: usize) -> usize {
    if wanted == 0 {
        0
    } else {
        wanted + taken.min(16)
    }
}

/// Chooses: what the workload had, the fixed number, or a free one nobody else was given.
///
/// # Errors
/// `exhausted` when the free ones do not suffice; another try finds others. `conflict` for a fixed
/// number that is another's.
pub(crate) fn choose(
    wanted: &BTreeMap<Name, u16>,
    had: &BTreeMap<Name, u16>,
    network: Network,
    free: &[u16],
    taken: &BTreeSet<u16>,
) -> Result<BTreeMap<Name, u16>, Error> {
    let mut free = free.iter().copied().filter(|port| !taken.contains(port));
    let mut chosen = BTreeMap::new();
    for (name, inside) in wanted {
        let fixed = (network == Network::Shared && *inside != 0).then_some(*inside);
        if let Some(port) = fixed
            && (taken.contains(&port) || chosen.values().any(|other| *other == port))
        {
            return Err(port_taken(name, port));
        }
        let port = fixed
            .or_else(|| had.get(name).copied())
            .or_else(|| free.next())
            .ok_or_else(no_free_port)?;
        chosen.insert(name.clone(), port);
    }
    Ok(chosen)
}

fn no_free_port() -> Error {
    Error::new(
        fleet_model::ErrorKind::Exhausted,
        "no-free-port",
        "no free port on loopback was left",
    )
}

/// A port belongs to one workload until that is removed.
fn port_taken(name: &Name, port: u16) -> Error {
    Error::conflict(
        "port-taken",
        format!(
            "the port {port} (`{name}`) belongs to another port or workload of this node: leave the number out and the node picks a free one, or remove that workload"
        ),
    )
}

/// The ports as the backend is told them.
pub(crate) fn describe(wanted: &BTreeMap<Name, u16>, chosen: &BTreeMap<Name, u16>) -> Vec<Port> {
    chosen
        .iter()
        .map(|(name, host)| Port {
            name: name.clone(),
            inside: wanted.get(name).copied().unwrap_or(0),
            host: *host,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(list: &[(&str, u16)]) -> BTreeMap<Name, u16> {
        list.iter()
            .map(|(name, port)| (name.parse().unwrap(), *port))
            .collect()
    }

    #[test]
    fn a_port_is_fixed_kept_or_free() {
        let taken = BTreeSet::from([5000]);
        let choose = |wanted, had, network| {
            choose(
                &ports(wanted),
                &ports(had),
                network,
                &[5000, 5001, 5002],
                &taken,
            )
        };
        assert_eq!(
            choose(&[("a", 0)], &[], Network::Shared).unwrap(),
            ports(&[("a", 5001)])
        );
        assert_eq!(
            choose(&[("a", 0)], &[("a", 7)], Network::Shared).unwrap(),
            ports(&[("a", 7)])
        );
        assert_eq!(
            choose(&[("a", 80)], &[("a", 7)], Network::Shared).unwrap(),
            ports(&[("a", 80)])
        );
        assert_eq!(
            choose(&[("a", 80)], &[], Network::Mapped).unwrap(),
            ports(&[("a", 5001)])
        );
        assert_eq!(
            choose(&[("a", 0), ("b", 0)], &[], Network::Shared).unwrap(),
            ports(&[("a", 5001), ("b", 5002)])
        );
        for wanted in [&[("a", 5000)][..], &[("a", 80), ("b", 80)]] {
            let error = choose(wanted, &[], Network::Shared).unwrap_err();
            assert_eq!(error.code, "port-taken");
        }
        assert_eq!(
            choose(&[("a", 0), ("b", 0), ("c", 0)], &[], Network::Shared)
                .unwrap_err()
                .code,
            "no-free-port"
        );
    }

    #[test]
    fn a_fixed_number_that_somebody_listens_on_is_not_given() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                // A machine without IPv6.
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let wanted = ports(&[("any", 0), ("web", port)]);
            let error = check_fixed(&wanted, Network::Shared).unwrap_err();
            assert_eq!(error.code, "port-in-use", "{address}");
            assert!(error.kind.is_retryable() && error.message.contains("`web`"));
            check_fixed(&wanted, Network::Mapped).unwrap();
            drop(listener);
            check_fixed(&wanted, Network::Shared).unwrap();
        }
    }

    #[test]
    fn candidates_are_different_ports() {
        let found = Candidates::find(20).unwrap().numbers();
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 20);
    }
}
