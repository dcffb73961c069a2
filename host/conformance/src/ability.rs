//! Whether a case can be tried with a backend, and if not, why.

use std::collections::BTreeMap;

use fleet_model::plugin::Plugin;
use fleet_plugin::conformance::Shortcoming;
use fleet_plugin::manifest::Manifest;

use crate::case::Need;

/// What a backend can do.
#[derive(Debug, Clone)]
pub(crate) struct Abilities {
    /// `logs` = `true` and the like: what the host read from the component's type.
    offers: BTreeMap<String, String>,
    /// Whether it asks for a launcher.
    launches: bool,
    cannot: BTreeMap<Shortcoming, String>,
}

impl Abilities {
    /// Those of a loaded plugin.
    pub(crate) fn of(plugin: &Plugin, manifest: &Manifest) -> Self {
        Self {
            offers: plugin.attributes.clone(),
            launches: !manifest.requests.process.launchers.is_empty(),
            cannot: manifest.conformance.cannot.clone(),
        }
    }

    /// Why something is not to be had; nothing where it is.
    pub(crate) fn lacks(&self, need: Need) -> Option<String> {
        if let Some(interface) = need.interface()
            && self.offers.get(interface).map(String::as_str) != Some("true")
        {
            return Some(format!("it does not offer `{interface}`"));
        }
        let shortcoming = need.shortcoming();
        if let Some(why) = shortcoming.and_then(|it| self.cannot.get(&it)) {
            return Some(format!("its manifest says: {why}"));
        }
        let is_bare = need == Need::Process && !self.launches;
        is_bare.then(|| "its workloads are no processes: it asks for no launcher".to_owned())
    }

    /// Whether it offers an interface.
    pub(crate) fn has(&self, need: Need) -> bool {
        self.lacks(need).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_skipped_for_what_is_not_offered_or_cannot_be() {
        let abilities = |launches| Abilities {
            offers: BTreeMap::from([
                ("logs".to_owned(), "true".to_owned()),
                ("exec".to_owned(), "false".to_owned()),
            ]),
            launches,
            cannot: BTreeMap::from([(Shortcoming::List, "nothing is there".to_owned())]),
        };
        for (need, launches, want) in [
            (Need::Logs, false, None),
            (Need::Exec, false, Some("it does not offer `exec`")),
            (Need::Stats, false, Some("it does not offer `stats`")),
            (
                Need::List,
                false,
                Some("its manifest says: nothing is there"),
            ),
            (Need::Reads, false, None),
            (Need::Process, true, None),
            (
                Need::Process,
                false,
                Some("its workloads are no processes: it asks for no launcher"),
            ),
        ] {
            assert_eq!(abilities(launches).lacks(need).as_deref(), want, "{need:?}");
        }
    }
}
