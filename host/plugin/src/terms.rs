//! What the host knows of a workload that is being made and does not leave to the guest: its limits,
//! and which secret each placeholder in it stands for.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet_capability::endpoint;
use fleet_model::Name;
use fleet_model::driver::{Port, Workload};
use fleet_model::spec::Limits;

/// The terms on which a call of `create` may prepare anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// What holds for whatever is made, whatever the guest asks.
    pub(crate) limits: Limits,
    node: String,
    name: String,
    ports: Vec<Port>,
    secrets: BTreeMap<String, Name>,
}

impl Terms {
    /// Those of this workload.
    pub(crate) fn of(workload: &Workload) -> Self {
        Self {
            limits: workload.limits.clone(),
            node: workload.node.to_string(),
            name: workload.name.to_string(),
            ports: workload.ports.clone(),
            secrets: workload.secrets.clone(),
        }
    }

    /// The secrets that belong into this environment: those whose placeholder stands in it.
    pub(crate) fn secrets_in(&self, env: &BTreeMap<String, String>) -> BTreeMap<String, Name> {
        let stands = |placeholder: &str| {
            !placeholder.is_empty() && env.values().any(|value| value.contains(placeholder))
        };
        self.those(stands)
    }

    /// What an endpoint is told of the workload, with those of its secrets whose placeholder stands in
    /// this body.
    pub(crate) fn for_endpoint(&self, body: Option<&str>) -> Arc<endpoint::Terms> {
        let body = body.unwrap_or_default();
        Arc::new(endpoint::Terms {
            node: self.node.clone(),
            name: self.name.clone(),
            limits: self.limits.clone(),
            ports: self.ports.clone(),
            secrets: self
                .those(|placeholder| !placeholder.is_empty() && body.contains(placeholder)),
        })
    }

    fn those(&self, stands: impl Fn(&str) -> bool) -> BTreeMap<String, Name> {
        self.secrets
            .iter()
            .filter(|(placeholder, _)| stands(placeholder))
            .map(|(placeholder, name)| (placeholder.clone(), name.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secrets_that_the_guest_passes_on_are_put_in() {
        let pairs = |list: &[(&str, &str)]| -> BTreeMap<String, String> {
            list.iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        let named = |placeholder: &str, name: &str| (placeholder.to_owned(), name.parse().unwrap());
        let terms = Terms {
            limits: Limits::default(),
            node: String::new(),
            name: String::new(),
            ports: Vec::new(),
            secrets: BTreeMap::from([named("<1>", "db"), named("<2>", "api"), named("", "none")]),
        };
        for (env, want) in [
            (pairs(&[("A", "x")]), vec![]),
            (pairs(&[("A", "<1>")]), vec!["db"]),
            (pairs(&[("A", "url://<1>@<2>/")]), vec!["db", "api"]),
            (pairs(&[("<1>", "x")]), vec![]),
        ] {
            let found = terms.secrets_in(&env);
            let found: Vec<&str> = found.values().map(Name::as_str).collect();
            assert_eq!(found, want, "{env:?}");
        }
        for (body, want) in [
            (None, 0),
            (Some("{}"), 0),
            (Some("{\"Env\":[\"A=<1>\"]}"), 1),
            (Some("<1><2>"), 2),
        ] {
            assert_eq!(terms.for_endpoint(body).secrets.len(), want, "{body:?}");
        }
    }
}
