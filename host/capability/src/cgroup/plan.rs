//! Which hierarchies to use, and the paths of groups in them. Pure.

use std::path::{Path, PathBuf};

use super::Placement;
use super::seat;
use super::table::{Membership, Mount, own_v1, own_v2};

/// The v1 controllers a process is put under beside the freezer, where they can be written.
pub(crate) const CONTROLLERS: [&str; 4] = ["pids", "memory", "cpu", "cpuacct"];

/// What holds the groups of all hosts of one group.
pub(crate) const HOSTS: &str = "fleet-host";

/// Where this host's groups lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// In the unified hierarchy: the host's own folder for groups.
    V2 { base: PathBuf },
    /// In one hierarchy per controller.
    V1 {
        freezer: PathBuf,
        others: Vec<(String, PathBuf)>,
    },
}

/// What this machine's hierarchies allow. A v1 freezer goes before a v2 hierarchy, which beside
/// it has no controllers worth having.
pub(crate) fn layout(mounts: &[Mount], own: &[Membership], tag: &str) -> Option<Layout> {
    let base = |folder: PathBuf| folder.join(HOSTS).join(tag);
    if let Some(freezer) = own_v1(mounts, own, "freezer") {
        let mut others: Vec<(String, PathBuf)> = Vec::new();
        for controller in CONTROLLERS {
            // Controllers mounted together share one group.
            if let Some(folder) = own_v1(mounts, own, controller).map(base)
                && others.iter().all(|(_, known)| *known != folder)
            {
                others.push((controller.to_owned(), folder));
            }
        }
        return Some(Layout::V1 {
            freezer: base(freezer),
            others,
        });
    }
    own_v2(mounts, own).map(|folder| Layout::V2 {
        base: base(seat::top(folder, tag)),
    })
}

/// Where a process of this name goes.
pub(crate) fn place(layout: &Layout, name: &str) -> Placement {
    let shims = |base: &Path| base.join("shims");
    match layout {
        Layout::V2 { base } => Placement::V2 {
            group: base.join(name),
            shims: shims(base),
        },
        Layout::V1 { freezer, others } => Placement::V1 {
            freezer: freezer.join(name),
            others: others.iter().map(|(_, base)| base.join(name)).collect(),
            shims: shims(freezer),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{memberships, mounts};
    use super::*;

    #[test]
    fn the_freezer_goes_before_a_bare_v2_and_shared_mounts_count_once() {
        let mounts = mounts(
            "1 2 0:3 / /g/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             1 2 0:4 / /g/freezer rw - cgroup cgroup rw,freezer\n\
             1 2 0:5 / /g/unified rw - cgroup2 cgroup2 rw\n",
        );
        let own = memberships("3:freezer:/\n2:cpu,cpuacct:/x\n0::/\n");
        let layout = layout(&mounts, &own, "tag").unwrap();
        assert_eq!(
            place(&layout, "wl_1.7.1"),
            Placement::V1 {
                freezer: "/g/freezer/fleet-host/tag/wl_1.7.1".into(),
                others: vec!["/g/cpu,cpuacct/x/fleet-host/tag/wl_1.7.1".into()],
                shims: "/g/freezer/fleet-host/tag/shims".into(),
            }
        );
    }

    #[test]
    fn a_unified_hierarchy_has_one_group() {
        let mounts = mounts("1 2 0:5 / /g rw - cgroup2 cgroup2 rw\n");
        let own = memberships("0::/unit.service\n");
        let placed = place(&layout(&mounts, &own, "tag").unwrap(), "wl_1.7.1");
        assert_eq!(
            placed,
            Placement::V2 {
                group: "/g/unit.service/fleet-host/tag/wl_1.7.1".into(),
                shims: "/g/unit.service/fleet-host/tag/shims".into(),
            }
        );
        let moved = memberships("0::/unit.service/fleet-host/tag/host\n");
        assert_eq!(
            place(&layout(&mounts, &moved, "tag").unwrap(), "wl_1.7.1"),
            placed
        );
        assert_eq!(layout(&[], &own, "tag"), None);
    }
}
