//! The end of a host that is given up with its data: nothing is left in its folders for groups, nor
//! they themselves.
//!
//! A shim takes the folders away when it is the last to go. One that was killed does not, and of two
//! that go at the same moment neither is the last.

use std::fs;
use std::path::{Path, PathBuf};

use super::detect::laid_out;
use super::group::{kill_v1, kill_v2, remove};
use super::plan::Layout;
use super::seat::LEAF;

/// Ends every process in the groups of the host whose workloads have their folders in `data`, and
/// removes the groups, as well as it can be done. The host's own leaf stays while the host is in it.
/// Blocks, at most for about a second for each group that does not end.
pub fn sweep(data: &Path) {
    match laid_out(data) {
        Some(Layout::V2 { base }) => clear(&base, |group| drop(kill_v2(group))),
        Some(Layout::V1 { freezer, others }) => {
            clear(&freezer, |group| drop(kill_v1(group)));
            for (_, base) in others {
                // The same processes, ended by the freezer's groups.
                clear(&base, |_| ());
            }
        }
        None => {}
    }
}

fn clear(base: &Path, kill: impl Fn(&Path)) {
    let groups = groups(base);
    for group in &groups {
        kill(group);
    }
    for group in &groups {
        // One that something is in stays, and so do the folders above it.
        let _ = remove(group);
    }
    let leaf = base.join(LEAF);
    for folder in [Some(leaf.as_path()), Some(base), base.parent()] {
        let _ = folder.map(fs::remove_dir);
    }
}

/// The groups of a host's processes and shims, its own leaf left out.
fn groups(base: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| entry.file_name() != LEAF)
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_groups_of_one_host_go_and_those_of_another_stay() {
        let root = tempfile::tempdir().unwrap();
        let hosts = root.path().join("fleet-host");
        for group in ["tag/wl_1.1.1/below", "tag/shims", "tag/host", "other/wl_2"] {
            fs::create_dir_all(hosts.join(group)).unwrap();
        }
        let killed = std::cell::RefCell::new(Vec::new());
        clear(&hosts.join("tag"), |group| {
            killed.borrow_mut().push(group.to_owned());
        });
        let mut killed = killed.into_inner();
        killed.sort();
        assert_eq!(
            killed,
            [hosts.join("tag/shims"), hosts.join("tag/wl_1.1.1")]
        );
        assert!(!hosts.join("tag").exists());
        assert!(hosts.join("other/wl_2").exists());
        clear(&hosts.join("tag"), |_| unreachable!("nothing is there"));
    }
}
