//! What the engine is, and whether it can be worked with.

use fleet_sdk::driver::Facilities;
use fleet_sdk::{Attributes, Error, ErrorKind};
use serde::Deserialize;

use crate::answer::Answer;
use crate::api::Api;
use crate::refusal::{self, Doing};

/// An engine that speaks Docker's API beside its own.
const PODMAN: &str = "podman";

/// What an engine says of its version.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Version {
    version: String,
    api_version: String,
    #[serde(rename = "MinAPIVersion")]
    min_api_version: String,
    os: String,
    components: Option<Vec<Component>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Component {
    name: String,
}

/// What it says of its parts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Info {
    driver: String,
    cgroup_driver: String,
    cgroup_version: String,
    security_options: Option<Vec<String>>,
    init_binary: String,
    live_restore_enabled: bool,
    cpu_cfs_quota: bool,
    memory_limit: bool,
    pids_limit: bool,
}

impl Info {
    /// The limits to which the engine holds a container, by their names in a spec.
    fn limits(&self) -> String {
        let held = [
            ("cpu", self.cpu_cfs_quota),
            ("memory", self.memory_limit),
            ("processes", self.pids_limit),
        ];
        let names = held.iter().filter(|(_, held)| *held);
        names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// Reads either answer.
///
/// # Errors
/// `unavailable` where it is none.
pub(crate) fn read<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    if answer.is_done() {
        answer.read()
    } else {
        Err(refusal::error(Doing::Other, answer))
    }
}

impl Version {
    /// The version of the API to speak with it.
    ///
    /// # Errors
    /// Why none can be: for people.
    pub(crate) fn api(&self) -> Result<Api, String> {
        if !self.os.is_empty() && self.os != "linux" {
            return Err(format!(
                "the engine runs containers for {}: one for linux is needed",
                self.os
            ));
        }
        if self.engine() == PODMAN {
            return Err(
                "it is Podman, whose answers differ from Docker's in places this plugin relies on: \
                 name the socket of a Docker engine in the grant"
                    .to_owned(),
            );
        }
        Api::choose(&self.min_api_version, &self.api_version)
    }

    fn engine(&self) -> &'static str {
        let podman = |component: &Component| component.name.starts_with("Podman");
        if self.components.iter().flatten().any(podman) {
            PODMAN
        } else {
            "docker"
        }
    }

    fn attributes(&self) -> Attributes {
        let mut list = Vec::new();
        push(&mut list, "engine", self.engine());
        push(&mut list, "engine-version", &self.version);
        push(&mut list, "api-version", &self.api_version);
        list
    }
}

/// What is said of an engine that answered.
pub(crate) fn found(
    version: &Version,
    api: Result<Api, String>,
    info: Option<&Info>,
) -> Facilities {
    let mut attributes = version.attributes();
    let unusable = match api {
        Ok(api) => {
            push(&mut attributes, "api-spoken", api.text());
            None
        }
        Err(reason) => Some(reason),
    };
    if let Some(info) = info {
        let has = |word: &str| {
            let named = format!("name={word}");
            let is = |option: &String| option.split(',').any(|part| part == named);
            info.security_options.iter().flatten().any(is)
        };
        push(&mut attributes, "storage-driver", &info.driver);
        push(&mut attributes, "cgroup-driver", &info.cgroup_driver);
        push(&mut attributes, "cgroup-version", &info.cgroup_version);
        push(&mut attributes, "init", &info.init_binary);
        push(&mut attributes, "limits", &info.limits());
        push(&mut attributes, "rootless", yes(has("rootless")));
        push(&mut attributes, "seccomp", yes(has("seccomp")));
        let live = yes(info.live_restore_enabled);
        push(&mut attributes, "live-restore", live);
        push(&mut attributes, "health", "ok");
    }
    Facilities {
        unusable,
        attributes,
    }
}

/// What is said where no engine answered.
///
/// # Errors
/// A bug is one; all else is the reason why it cannot be used.
pub(crate) fn none(error: Error) -> Result<Facilities, Error> {
    if error.kind == ErrorKind::Internal {
        return Err(error);
    }
    Ok(Facilities {
        unusable: Some(error.message),
        attributes: Vec::new(),
    })
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn push(list: &mut Attributes, name: &str, value: &str) {
    if !value.is_empty() {
        list.push((name.to_owned(), value.chars().take(100).collect()));
    }
}

#[cfg(test)]
mod tests;
