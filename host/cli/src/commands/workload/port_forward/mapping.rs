//! `LOCAL:PORT`, as it is typed.

use std::str::FromStr;

use fleet_model::Name;
use fleet_model::workload::Workload;

/// A local port and the port of a workload that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    /// The local port; 0 = a free one.
    pub(super) local: u16,
    /// The workload's port: its name, or its number inside the workload or at its node.
    pub(super) port: String,
}

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let no = || {
            format!(
                "`{text}` is not LOCAL:PORT: write 8080:http, :http for a free local port, or 8080 for the same number on both sides"
            )
        };
        let (local, port) = match text.split_once(':') {
            Some(("", port)) => (0, port),
            Some((local, port)) => (local.parse().map_err(|_| no())?, port),
            // A name alone says nothing of a local port.
            None => (text.parse().unwrap_or(0), text),
        };
        let is_number = port.parse::<u16>().is_ok_and(|number| number > 0);
        let is_known = is_number
            || (port.parse::<Name>().is_ok() && !port.bytes().all(|byte| byte.is_ascii_digit()));
        is_known
            .then(|| Self {
                local,
                port: port.to_owned(),
            })
            .ok_or_else(no)
    }
}

impl Mapping {
    /// Whether the workload declares the port, as far as is known before it runs.
    pub(super) fn is_declared(&self, workload: &Workload) -> bool {
        let declared = &workload.spec.ports;
        let Ok(number) = self.port.parse::<u16>() else {
            return declared.keys().any(|name| name.as_str() == self.port);
        };
        let is_at_node = workload.ports.values().any(|port| *port == number);
        let may_be = workload.ports.is_empty() && !declared.is_empty();
        is_at_node || may_be || declared.values().any(|inside| *inside == number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::fixture::workload;
    use super::*;

    #[test]
    fn mappings_read_in_every_form() {
        for (text, want) in [
            ("8080:http", Some((8080, "http"))),
            (":http", Some((0, "http"))),
            ("0:http", Some((0, "http"))),
            ("http", Some((0, "http"))),
            ("8080:80", Some((8080, "80"))),
            ("8080", Some((8080, "8080"))),
            (":80", Some((0, "80"))),
            ("", None),
            (":", None),
            ("8080:", None),
            ("http:8080", None),
            ("70000:http", None),
            ("8080:70000", None),
            ("70000", None),
            ("0", None),
            ("8080:Http", None),
            ("1:2:3", None),
        ] {
            let mapping = text.parse::<Mapping>();
            let got = mapping.as_ref().ok();
            let got = got.map(|mapping| (mapping.local, mapping.port.as_str()));
            assert_eq!(got, want, "{text}: {mapping:?}");
        }
    }

    #[test]
    fn a_port_is_declared_by_name_or_number() {
        let running = workload(json!({
            "ports": {"http": 40123, "admin": 40124},
            "spec": {"backend": "native", "command": ["x"], "ports": {"http": 0, "admin": 9000}},
        }));
        let pending = workload(json!({
            "ports": {},
            "spec": {"backend": "native", "command": ["x"], "ports": {"http": 0}},
        }));
        let declares = |workload: &Workload, text: &str| {
            text.parse::<Mapping>().unwrap().is_declared(workload)
        };
        for (port, want) in [
            (":http", true),
            (":admin", true),
            (":9000", true),
            (":40123", true),
            (":22", false),
            (":ssh", false),
        ] {
            assert_eq!(declares(&running, port), want, "{port}");
        }
        // Its number at the node is not known yet.
        assert!(declares(&pending, ":40123") && declares(&pending, ":http"));
        assert!(!declares(&pending, ":ssh"));
    }
}
