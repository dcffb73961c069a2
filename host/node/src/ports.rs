//! Chooses the ports of a workload.
//!
//! A named port gets a number on the node's loopback when the workload is first begun, and keeps
//! it until the workload is removed. Where the backend's workloads share the node's network (the
//! default), a port with a fixed number is that number; where they have their own
//! (`network = "mapped"` in the backend's description), every port gets a free one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};

use fleet_model::driver::Port;
use fleet_model::{Error, Name};

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
    fn candidates_are_different_ports() {
        let found = Candidates::find(20).unwrap().numbers();
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 20);
    }
}
