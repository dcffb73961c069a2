//! What `/proc/self/mountinfo` and `/proc/self/cgroup` say. Pure.

use std::path::{Path, PathBuf};

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Which part of the hierarchy is mounted: `/`, but for some containers.
    root: PathBuf,
    /// Where.
    point: PathBuf,
    /// The v1 controllers; `None` for v2.
    controllers: Option<Vec<String>>,
}

/// One line of `/proc/self/cgroup`: which group a process is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    /// The v1 controllers of the hierarchy; empty for v2.
    controllers: Vec<String>,
    path: PathBuf,
}

/// The cgroup mounts among the lines of `mountinfo` (proc(5)).
pub(crate) fn mounts(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let root = PathBuf::from(unescape(fields.next()?));
    let point = PathBuf::from(unescape(fields.next()?));
    let mut after = after.split(' ');
    let controllers = match after.next()? {
        "cgroup2" => None,
        "cgroup" => Some(after.nth(1)?.split(',').map(str::to_owned).collect()),
        _ => return None,
    };
    Some(Mount {
        root,
        point,
        controllers,
    })
}

/// Spaces and the like are written as three octal digits.
fn unescape(field: &str) -> String {
    field
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

/// The groups a process is in.
pub(crate) fn memberships(cgroup: &str) -> Vec<Membership> {
    let membership = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields
            .next()?
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        Some(Membership {
            controllers,
            path: fields.next()?.into(),
        })
    };
    cgroup.lines().filter_map(membership).collect()
}

/// The own group's folder in the v2 hierarchy.
pub(crate) fn own_v2(mounts: &[Mount], memberships: &[Membership]) -> Option<PathBuf> {
    let mount = mounts.iter().find(|mount| mount.controllers.is_none())?;
    let own = memberships.iter().find(|own| own.controllers.is_empty())?;
    Some(folder(mount, &own.path))
}

/// The own group's folder in the v1 hierarchy of one controller.
pub(crate) fn own_v1(
    mounts: &[Mount],
    memberships: &[Membership],
    controller: &str,
) -> Option<PathBuf> {
    let has = |list: &[String]| list.iter().any(|name| name == controller);
    let mount = mounts
        .iter()
        .find(|mount| mount.controllers.as_deref().is_some_and(has))?;
    let own = memberships.iter().find(|own| has(&own.controllers))?;
    Some(folder(mount, &own.path))
}

/// A group's folder below a mount. One outside the mounted part is not visible: its top is then.
fn folder(mount: &Mount, path: &Path) -> PathBuf {
    match path.strip_prefix(&mount.root) {
        Ok(below) if !below.as_os_str().is_empty() && !path.starts_with("/..") => {
            mount.point.join(below)
        }
        _ => mount.point.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
        36 24 0:31 / /proc rw - proc proc rw\n";
    const V1: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    const CONTAINER: &str =
        "9 8 0:30 /docker/abc /sys/fs/cgroup/freezer ro,relatime - cgroup cgroup rw,freezer\n";

    #[test]
    fn a_unified_hierarchy() {
        let own = memberships("0::/user.slice/user-1000.slice/session-2.scope\n");
        let folder = own_v2(&mounts(V2), &own).unwrap();
        assert_eq!(
            folder,
            Path::new("/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope")
        );
        assert_eq!(own_v1(&mounts(V2), &own, "freezer"), None);
    }

    #[test]
    fn separate_hierarchies() {
        let own =
            memberships("9:name=systemd:/\n6:freezer:/\n4:memory:/job/1\n2:cpu,cpuacct:/\n0::/\n");
        let of = |controller| {
            own_v1(&mounts(V1), &own, controller).map(|path| path.display().to_string())
        };
        assert_eq!(of("freezer").as_deref(), Some("/sys/fs/cgroup/freezer"));
        assert_eq!(of("memory").as_deref(), Some("/sys/fs/cgroup/memory/job/1"));
        assert_eq!(of("cpu").as_deref(), Some("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(of("pids"), None);
    }

    #[test]
    fn in_a_container_the_mounted_part_is_the_top() {
        let mounted = mounts(CONTAINER);
        let of = |path: &str| {
            own_v1(
                &mounted,
                &memberships(&format!("6:freezer:{path}\n")),
                "freezer",
            )
            .unwrap()
        };
        assert_eq!(of("/docker/abc"), Path::new("/sys/fs/cgroup/freezer"));
        assert_eq!(of("/docker/abc/x"), Path::new("/sys/fs/cgroup/freezer/x"));
        assert_eq!(of("/../other"), Path::new("/sys/fs/cgroup/freezer"));
    }

    #[test]
    fn a_mount_point_with_a_space_reads_right() {
        let mounted = mounts("1 2 0:3 / /my\\040groups rw - cgroup2 none rw\n");
        assert_eq!(
            own_v2(&mounted, &memberships("0::/\n")).unwrap(),
            Path::new("/my groups")
        );
    }
}
