//! What the kernel holds a process to, and which files of a group say so. Pure.
//!
//! | limit       | cgroup v1                                            | cgroup v2                       |
//! |-------------|------------------------------------------------------|---------------------------------|
//! | `cpu`       | `cpu.cfs_quota_us` per `cpu.cfs_period_us`           | `cpu.max`                       |
//! | `memory`    | `memory.limit_in_bytes`, `memory.memsw...` with swap | `memory.max`, `memory.swap.max` |
//! | `processes` | `pids.max`                                           | `pids.max`                      |
//!
//! Memory is limited with its swap, so that what needs more is killed and does not crawl.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fleet_model::Error;
use fleet_model::spec::Limits;
use serde::{Deserialize, Serialize};

use super::plan::HOSTS;

/// The time over which a share of the processors is measured, in microseconds: the kernel's default.
const PERIOD_US: u64 = 100_000;

/// What passes a v2 group's controllers on to the groups in it.
pub(crate) const SUBTREE: &str = "cgroup.subtree_control";

/// More processes than this the kernel never has (`PID_MAX_LIMIT`): no limit, and refused as one.
const MOST_PROCESSES: u32 = 4 * 1024 * 1024;

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Cpu,
    Memory,
    Processes,
}

impl Resource {
    pub(crate) const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Processes];

    /// The word in a workload's limits.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Processes => "processes",
        }
    }

    /// The kernel's controller.
    pub(crate) fn controller(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Processes => "pids",
        }
    }

    /// The file whose presence in a v1 group says that it can be limited there.
    pub(crate) fn v1_file(self) -> &'static str {
        match self {
            Self::Cpu => "cpu.cfs_quota_us",
            Self::Memory => "memory.limit_in_bytes",
            Self::Processes => "pids.max",
        }
    }
}

/// One text to write into one of the kernel's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
    /// When it does not matter that the kernel does not take it.
    #[serde(default)]
    pub(crate) unless: Unless,
}

/// When it does not matter that a setting is not taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unless {
    /// It always matters.
    #[default]
    Never,
    /// The file is not there: this kernel has no swap to limit.
    Missing,
    /// It is refused as invalid: a group above is held to less than that already.
    Tighter,
}

/// Which generation of cgroups holds the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// What can be held to its limits on this machine, where, and why the rest cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holds {
    pub(crate) version: Version,
    /// The host's folder for groups in the hierarchy of each.
    pub(crate) bases: BTreeMap<Resource, PathBuf>,
    /// Why those that are not among them cannot be held.
    pub(crate) reason: Option<String>,
}

impl Holds {
    pub(crate) fn nothing(reason: impl Into<String>) -> Self {
        Self {
            version: Version::V2,
            bases: BTreeMap::new(),
            reason: Some(reason.into()),
        }
    }

    /// For people: `cpu,memory,processes`.
    pub(crate) fn list(&self) -> String {
        let names: Vec<&str> = self.bases.keys().map(|what| what.as_str()).collect();
        names.join(",")
    }

    /// What to write, in this order, before a process enters its group of this name.
    ///
    /// # Errors
    /// `unsupported` (`limits-unsupported`) for a limit that cannot be held here.
    pub(crate) fn settings(&self, name: &str, limits: &Limits) -> Result<Vec<Setting>, Error> {
        let mut settings = Vec::new();
        for what in Resource::ALL {
            let own = self.own_settings(what, limits);
            if own.is_empty() {
                continue;
            }
            let base = self.bases.get(&what).ok_or_else(|| self.refuse(what))?;
            if self.version == Version::V2 {
                settings.extend(passed_on(base, what));
            }
            let group = base.join(name);
            settings.extend(own.into_iter().map(|(file, text, unless)| Setting {
                file: group.join(file),
                text,
                unless,
            }));
        }
        Ok(settings)
    }

    fn own_settings(&self, what: Resource, limits: &Limits) -> Vec<(&'static str, String, Unless)> {
        use Unless::{Missing, Never, Tighter};
        let found = match (what, self.version) {
            (Resource::Cpu, version) => limits.cpu.map(|cpu| {
                let quota_us = u64::from(cpu.as_millis()) * PERIOD_US / 1_000;
                match version {
                    Version::V1 => vec![
                        ("cpu.cfs_period_us", PERIOD_US.to_string(), Never),
                        ("cpu.cfs_quota_us", quota_us.to_string(), Tighter),
                    ],
                    Version::V2 => vec![("cpu.max", format!("{quota_us} {PERIOD_US}"), Never)],
                }
            }),
            (Resource::Memory, version) => limits.memory.map(|memory| {
                let bytes = memory.as_bytes().to_string();
                match version {
                    Version::V1 => vec![
                        ("memory.limit_in_bytes", bytes.clone(), Never),
                        ("memory.memsw.limit_in_bytes", bytes, Missing),
                    ],
                    Version::V2 => vec![
                        ("memory.max", bytes, Never),
                        ("memory.swap.max", "0".to_owned(), Missing),
                    ],
                }
            }),
            (Resource::Processes, _) => limits.processes.map(|most| {
                let text = if most < MOST_PROCESSES {
                    most.to_string()
                } else {
                    "max".to_owned()
                };
                vec![("pids.max", text, Never)]
            }),
        };
        found.unwrap_or_default()
    }

    fn refuse(&self, what: Resource) -> Error {
        let name = what.as_str();
        let why = self
            .reason
            .as_deref()
            .unwrap_or("its kernel does not offer that");
        Error::unsupported(
            "limits-unsupported",
            format!(
                "this machine cannot hold a program to its limit of `{name}`: {why}; or leave `{name}` out of the workload's limits, or place it on a node whose backend shows `{name}` among its `limits`"
            ),
        )
        .with("limit", name)
    }
}

/// In v2 a controller is there where every group above passes it on. The host's own group does
/// since the host looked; the folders below come and go with what is in them.
fn passed_on(base: &Path, what: Resource) -> Vec<Setting> {
    let hosts = base.parent().filter(|top| top.ends_with(HOSTS));
    let folders = hosts.into_iter().chain([base]);
    folders
        .map(|folder| Setting {
            file: folder.join(SUBTREE),
            text: format!("+{}", what.controller()),
            unless: Unless::Never,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        serde_json::from_str(r#"{"cpu":0.2,"memory":"64MiB","processes":9,"disk":"1GiB"}"#).unwrap()
    }

    fn holds(version: Version, bases: &[(Resource, &str)]) -> Holds {
        Holds {
            version,
            bases: bases
                .iter()
                .map(|(what, base)| (*what, PathBuf::from(base)))
                .collect(),
            reason: Some("of the weather".to_owned()),
        }
    }

    fn lines(settings: &[Setting]) -> Vec<String> {
        settings
            .iter()
            .map(|setting| format!("{} = {}", setting.file.display(), setting.text))
            .collect()
    }

    #[test]
    fn v1_writes_each_limit_into_its_hierarchy() {
        let holds = holds(
            Version::V1,
            &[
                (Resource::Cpu, "/g/cpu/fleet-host/tag"),
                (Resource::Memory, "/g/memory/job/fleet-host/tag"),
                (Resource::Processes, "/g/pids/fleet-host/tag"),
            ],
        );
        assert_eq!(holds.list(), "cpu,memory,processes");
        let settings = holds.settings("wl", &limits()).unwrap();
        assert_eq!(
            lines(&settings),
            [
                "/g/cpu/fleet-host/tag/wl/cpu.cfs_period_us = 100000",
                "/g/cpu/fleet-host/tag/wl/cpu.cfs_quota_us = 20000",
                "/g/memory/job/fleet-host/tag/wl/memory.limit_in_bytes = 67108864",
                "/g/memory/job/fleet-host/tag/wl/memory.memsw.limit_in_bytes = 67108864",
                "/g/pids/fleet-host/tag/wl/pids.max = 9",
            ]
        );
        assert_eq!(holds.settings("wl", &Limits::default()).unwrap(), []);
    }

    #[test]
    fn v2_passes_controllers_on_before_it_limits() {
        let base = "/g/unit/fleet-host/tag";
        let holds = holds(
            Version::V2,
            &[
                (Resource::Cpu, base),
                (Resource::Memory, base),
                (Resource::Processes, base),
            ],
        );
        assert_eq!(
            lines(&holds.settings("wl", &limits()).unwrap()),
            [
                "/g/unit/fleet-host/cgroup.subtree_control = +cpu",
                "/g/unit/fleet-host/tag/cgroup.subtree_control = +cpu",
                "/g/unit/fleet-host/tag/wl/cpu.max = 20000 100000",
                "/g/unit/fleet-host/cgroup.subtree_control = +memory",
                "/g/unit/fleet-host/tag/cgroup.subtree_control = +memory",
                "/g/unit/fleet-host/tag/wl/memory.max = 67108864",
                "/g/unit/fleet-host/tag/wl/memory.swap.max = 0",
                "/g/unit/fleet-host/cgroup.subtree_control = +pids",
                "/g/unit/fleet-host/tag/cgroup.subtree_control = +pids",
                "/g/unit/fleet-host/tag/wl/pids.max = 9",
            ]
        );
        let many = Limits {
            processes: Some(u32::MAX),
            ..Limits::default()
        };
        let settings = holds.settings("wl", &many).unwrap();
        assert_eq!(settings.last().unwrap().text, "max");
    }

    #[test]
    fn what_cannot_be_held_is_refused_with_the_reason_and_the_remedy() {
        let holds = holds(Version::V1, &[(Resource::Cpu, "/g/cpu/fleet-host/tag")]);
        let error = holds.settings("wl", &limits()).unwrap_err();
        assert_eq!(error.code, "limits-unsupported");
        assert_eq!(error.details.get("limit").unwrap(), "memory");
        for part in ["`memory`", "of the weather", "leave"] {
            assert!(error.message.contains(part), "{error}");
        }
        let only_cpu = Limits {
            cpu: limits().cpu,
            ..Limits::default()
        };
        assert_eq!(holds.settings("wl", &only_cpu).unwrap().len(), 2);
        assert_eq!(holds.list(), "cpu");
    }
}
