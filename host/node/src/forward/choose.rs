//! Which of a workload's ports is meant. Pure.

use std::collections::BTreeMap;
use std::io;

use fleet_model::{Error, Name};

/// A port of a workload.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen<'a> {
    /// What it is called.
    pub(super) name: &'a Name,
    /// Its number on this node's loopback.
    pub(super) port: u16,
}

/// The port that is called so, or has this number inside the workload or, where none has it inside, at
/// the node.
///
/// # Errors
/// `not-found` (`no-such-port`) naming those there are.
pub(super) fn choose<'a>(
    asked: &str,
    inside: &BTreeMap<Name, u16>,
    at_node: &'a BTreeMap<Name, u16>,
) -> Result<Chosen<'a>, Error> {
    let number = asked.parse::<u16>().ok().filter(|number| *number > 0);
    let found = |is_it: &dyn Fn(&Name, u16) -> bool| {
        at_node
            .iter()
            .find(|(name, port)| is_it(name, **port))
            .map(|(name, port)| Chosen { name, port: *port })
    };
    found(&|name, _| name.as_str() == asked)
        .or_else(|| found(&|name, _| number.is_some() && inside.get(name).copied() == number))
        .or_else(|| found(&|_, port| number == Some(port)))
        .ok_or_else(|| unknown(asked, at_node))
}

fn unknown(asked: &str, at_node: &BTreeMap<Name, u16>) -> Error {
    let shown: String = asked.chars().take(64).collect();
    let there_are = if at_node.is_empty() {
        "it has none".to_owned()
    } else {
        let ports = at_node
            .iter()
            .map(|(name, port)| format!("{name} ({port})"));
        format!("it has {}", ports.collect::<Vec<_>>().join(", "))
    };
    Error::not_found(
        "no-such-port",
        format!(
            "the workload declares no port `{shown}`: {there_are}. A port is declared when a workload is made, with `--port {}` or under `[ports]` in its file",
            suggestion(&shown)
        ),
    )
}

/// How the port that was asked for would be declared.
fn suggestion(asked: &str) -> String {
    if asked.parse::<u16>().is_ok_and(|number| number > 0) {
        format!("web={asked}")
    } else if asked.parse::<Name>().is_ok() {
        asked.to_owned()
    } else {
        "web".to_owned()
    }
}

impl Chosen<'_> {
    /// The failure of a port that cannot be connected to.
    pub(super) fn deaf(&self, error: &io::Error) -> Error {
        let why = match error.kind() {
            io::ErrorKind::ConnectionRefused => "nobody listens".to_owned(),
            io::ErrorKind::TimedOut => "nobody accepts connections".to_owned(),
            _ => format!("nobody can be reached ({error})"),
        };
        Error::unavailable(
            "nobody-listens",
            format!(
                "{why} on the port {} of the workload (127.0.0.1:{} at its node): its program may still be starting, or listen elsewhere; its log may say",
                self.name, self.port
            ),
        )
    }
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
    fn a_port_is_found_by_name_then_by_its_number_inside_then_by_that_at_the_node() {
        let inside = ports(&[("admin", 9000), ("http", 80), ("picked", 0)]);
        let at_node = ports(&[("admin", 40001), ("http", 9000), ("picked", 40003)]);
        for (asked, want) in [
            ("http", Some(9000)),
            ("80", Some(9000)),
            // Inside the workload 9000 is another port than at the node.
            ("9000", Some(40001)),
            ("40001", Some(40001)),
            ("40003", Some(40003)),
            ("0", None),
            ("", None),
            ("https", None),
            ("22", None),
            ("99999", None),
            ("-1", None),
        ] {
            let chosen = choose(asked, &inside, &at_node);
            assert_eq!(chosen.ok().map(|chosen| chosen.port), want, "{asked}");
        }
    }

    #[test]
    fn what_is_not_there_names_what_is_and_how_to_declare_it() {
        let at_node = ports(&[("http", 8080), ("metrics", 9100)]);
        let error = choose("22", &BTreeMap::new(), &at_node).unwrap_err();
        assert_eq!(error.code, "no-such-port");
        for part in ["`22`", "http (8080), metrics (9100)", "--port web=22"] {
            assert!(error.message.contains(part), "{error}");
        }
        let error = choose("x y", &BTreeMap::new(), &BTreeMap::new()).unwrap_err();
        assert!(
            error.message.contains("it has none") && error.message.contains("--port web`"),
            "{error}"
        );
        assert!(
            choose(&"x".repeat(1 << 20), &BTreeMap::new(), &at_node)
                .unwrap_err()
                .message
                .len()
                < 500
        );
    }
}
