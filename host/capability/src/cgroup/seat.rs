//! Where the host itself sits in a v2 hierarchy.
//!
//! A v2 group that passes controllers on may hold groups but no processes. So that its programs
//! can be limited, the host leaves the group it was started in for a leaf below it, together with
//! nobody: `OWN/fleet-host/TAG/host`. Others in that group it leaves alone, and has no limits then.
//!
//! One supervisor needs help: systemd puts a unit's process into the unit's own group, which fails
//! while that group passes controllers on, as it does as long as a program runs. Such a unit would
//! not come up again after a crash of the host. With `DelegateSubgroup=`[`SUBGROUP`] (systemd 254)
//! systemd starts the host in a leaf, and all is well; without it the host stays where it is.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::group;
use super::limit::{Resource, SUBTREE};
use super::plan::HOSTS;

/// The host's leaf, beside the groups of its programs.
pub(crate) const LEAF: &str = "host";

/// The leaf in which systemd is asked to start the host.
pub(crate) const SUBGROUP: &str = "fleet-host-self";

/// What made the host a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Starter {
    /// systemd itself, as the main process of a unit.
    Systemd,
    Other,
}

impl Starter {
    /// As systemd says it, from version 248 on.
    pub(crate) fn of_this_process() -> Self {
        match std::env::var("SYSTEMD_EXEC_PID") {
            Ok(pid) if pid == std::process::id().to_string() => Self::Systemd,
            _ => Self::Other,
        }
    }
}

/// The group below which this host's groups lie, from the group it is in: the one above its leaf,
/// if it is in one.
pub(crate) fn top(own: PathBuf, tag: &str) -> PathBuf {
    let leaf = Path::new(HOSTS).join(tag).join(LEAF);
    let levels = if own.ends_with(&leaf) {
        3
    } else {
        usize::from(own.ends_with(SUBGROUP))
    };
    own.ancestors()
        .nth(levels)
        .map(Path::to_path_buf)
        .unwrap_or(own)
}

/// A hierarchy's files, so that a test can stand in for the kernel.
pub(crate) trait Hierarchy {
    fn make(&self, group: &Path) -> io::Result<()>;
    fn read(&self, file: &Path) -> io::Result<String>;
    fn write(&self, file: &Path, text: &str) -> io::Result<()>;
}

/// The kernel's own.
pub(crate) struct Kernel;

impl Hierarchy for Kernel {
    fn make(&self, group: &Path) -> io::Result<()> {
        fs::create_dir_all(group)
    }

    fn read(&self, file: &Path) -> io::Result<String> {
        fs::read_to_string(file)
    }

    fn write(&self, file: &Path, text: &str) -> io::Result<()> {
        group::put(file, text)
    }
}

/// Lets `top` pass on what it has, and says what that is; `base` is the host's folder below it.
///
/// # Errors
/// Why nothing can be limited here, and what to do about it.
pub(crate) fn take(
    hierarchy: &impl Hierarchy,
    top: &Path,
    base: &Path,
    own_pid: u32,
    starter: Starter,
) -> Result<BTreeSet<Resource>, String> {
    let shown = top.display();
    let listed = |file: &str| -> BTreeSet<Resource> {
        let text = hierarchy.read(&top.join(file)).unwrap_or_default();
        let names: Vec<&str> = text.split_whitespace().collect();
        Resource::ALL
            .into_iter()
            .filter(|what| names.contains(&what.controller()))
            .collect()
    };
    let offered = listed("cgroup.controllers");
    if offered.is_empty() {
        return Err(format!(
            "the cgroup {shown} was given none of the controllers cpu, memory and pids: a systemd unit gets them with `Delegate=yes`"
        ));
    }
    let passed = listed(SUBTREE);
    let missing: Vec<String> = offered
        .difference(&passed)
        .map(|what| format!("+{}", what.controller()))
        .collect();
    if missing.is_empty() {
        return Ok(offered);
    }
    let pass_on = || hierarchy.write(&top.join(SUBTREE), &missing.join(" "));
    let refused = |error: &io::Error| {
        format!(
            "the cgroup {shown} does not pass its controllers on: {error}; give the host's user write access to it, or a group of its own with `Delegate=yes`"
        )
    };
    match pass_on() {
        Ok(()) => return Ok(offered),
        Err(error) if is_busy(&error) => {}
        Err(error) => return Err(refused(&error)),
    }

    let inhabitants = hierarchy
        .read(&top.join("cgroup.procs"))
        .map_err(|error| refused(&error))?;
    if inhabitants.lines().any(|line| line != own_pid.to_string()) {
        return Err(format!(
            "other processes share the host's cgroup {shown}: start the host in one of its own, as a systemd unit or with `systemd-run --scope --property=Delegate=yes`"
        ));
    }
    if starter == Starter::Systemd {
        return Err(format!(
            "the host would have to leave its unit's cgroup {shown}, and systemd could not start it again while programs run: add `DelegateSubgroup={SUBGROUP}` to the unit (systemd 254 or later)"
        ));
    }
    let leaf = base.join(LEAF);
    let settled = hierarchy
        .make(&leaf)
        .and_then(|()| hierarchy.write(&leaf.join("cgroup.procs"), "0"))
        .and_then(|()| pass_on());
    match settled {
        Ok(()) => Ok(offered),
        Err(error) => {
            // Back to where whoever started it expects it.
            let _ = hierarchy.write(&top.join("cgroup.procs"), "0");
            Err(refused(&error))
        }
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::BUSY.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    /// One level of v2: a group that holds processes passes nothing on.
    #[derive(Default)]
    struct Fake {
        files: RefCell<BTreeMap<PathBuf, String>>,
        is_read_only: bool,
    }

    const TOP: &str = "/g/unit";
    const BASE: &str = "/g/unit/fleet-host/tag";

    impl Fake {
        fn new(controllers: &str, procs: &str) -> Self {
            let file = |name: &str, text: &str| (Path::new(TOP).join(name), text.to_owned());
            Self {
                files: RefCell::new(BTreeMap::from([
                    file("cgroup.controllers", controllers),
                    file("cgroup.procs", procs),
                    file(SUBTREE, ""),
                ])),
                is_read_only: false,
            }
        }

        fn text(&self, path: &str) -> String {
            self.files.borrow()[Path::new(path)].clone()
        }

        fn take(&self, starter: Starter) -> Result<String, String> {
            let held = take(self, Path::new(TOP), Path::new(BASE), 7, starter)?;
            let names: Vec<&str> = held.into_iter().map(Resource::as_str).collect();
            Ok(names.join(","))
        }
    }

    impl Hierarchy for Fake {
        fn make(&self, group: &Path) -> io::Result<()> {
            let procs = (group.join("cgroup.procs"), String::new());
            self.files.borrow_mut().extend([procs]);
            Ok(())
        }

        fn read(&self, file: &Path) -> io::Result<String> {
            let found = self.files.borrow().get(file).cloned();
            found.ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn write(&self, file: &Path, text: &str) -> io::Result<()> {
            if self.is_read_only {
                return Err(Errno::ACCESS.into());
            }
            let mut files = self.files.borrow_mut();
            if file.ends_with("cgroup.procs") {
                for (path, procs) in files.iter_mut() {
                    if path.ends_with("cgroup.procs") {
                        *procs = procs.replace("7\n", "");
                    }
                }
                files.insert(file.to_owned(), "7\n".to_owned());
            } else {
                if !files[&file.with_file_name("cgroup.procs")].is_empty() {
                    return Err(Errno::BUSY.into());
                }
                files.insert(file.to_owned(), text.replace('+', ""));
            }
            Ok(())
        }
    }

    #[test]
    fn a_host_alone_in_its_group_moves_to_a_leaf_and_passes_controllers_on() {
        let fake = Fake::new("cpuset cpu io memory pids\n", "7\n");
        assert_eq!(fake.take(Starter::Other).unwrap(), "cpu,memory,processes");
        assert_eq!(fake.text("/g/unit/fleet-host/tag/host/cgroup.procs"), "7\n");
        assert_eq!(fake.text("/g/unit/cgroup.procs"), "");
        assert_eq!(
            fake.text("/g/unit/cgroup.subtree_control"),
            "cpu memory pids"
        );
        // Started again, it finds all in place.
        assert_eq!(fake.take(Starter::Systemd).unwrap(), "cpu,memory,processes");
    }

    #[test]
    fn a_host_in_a_leaf_stays_there() {
        let fake = Fake::new("memory pids\n", "");
        assert_eq!(fake.take(Starter::Systemd).unwrap(), "memory,processes");
        assert!(
            !fake
                .files
                .borrow()
                .keys()
                .any(|path| path.ends_with("host/cgroup.procs"))
        );
    }

    #[test]
    fn where_there_are_no_limits_the_reason_says_what_to_do() {
        for (controllers, procs, starter, is_read_only, part) in [
            ("io\n", "7\n", Starter::Other, false, "Delegate=yes"),
            (
                "memory\n",
                "7\n8\n",
                Starter::Other,
                false,
                "other processes",
            ),
            (
                "memory\n",
                "7\n",
                Starter::Systemd,
                false,
                "DelegateSubgroup=fleet-host-self",
            ),
            ("memory\n", "7\n", Starter::Other, true, "write access"),
        ] {
            let fake = Fake {
                is_read_only,
                ..Fake::new(controllers, procs)
            };
            let reason = fake.take(starter).unwrap_err();
            assert!(reason.contains(part), "{reason}");
            assert_eq!(fake.text("/g/unit/cgroup.procs"), procs, "nobody was moved");
        }
    }

    #[test]
    fn the_top_is_above_the_hosts_own_leaf() {
        for (own, want) in [
            ("/g/unit", "/g/unit"),
            ("/g/unit/fleet-host/tag/host", "/g/unit"),
            ("/g/unit/fleet-host-self", "/g/unit"),
            (
                "/g/unit/fleet-host/other/host",
                "/g/unit/fleet-host/other/host",
            ),
            ("/g/unit/host", "/g/unit/host"),
        ] {
            assert_eq!(top(own.into(), "tag"), Path::new(want));
        }
    }
}
