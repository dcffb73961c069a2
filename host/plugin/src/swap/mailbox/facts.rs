//! What can be seen of the plugin folder without reading a file.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is seen of a component and its manifest. While it stays the same, so do they.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Facts {
    component: Option<Seen>,
    manifest: Option<Seen>,
}

/// What is seen of a file. A rename over it changes its number, a write its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    number: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What the folder itself is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FolderId(u64, u64);

impl FolderId {
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(folder)?;
        Ok(Self(metadata.dev(), metadata.ino()))
    }
}

impl Facts {
    /// What is seen of a component in this file.
    pub(super) fn of(component: &Path) -> Self {
        Self {
            component: seen(component),
            manifest: seen(&component.with_extension("toml")),
        }
    }
}

/// Of a link, what it leads to; where that leads nowhere, the link itself.
fn seen(path: &Path) -> Option<Seen> {
    let metadata = fs::metadata(path)
        .or_else(|_| fs::symlink_metadata(path))
        .ok()?;
    Some(Seen {
        device: metadata.dev(),
        number: metadata.ino(),
        bytes: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// All components that lie in the folder, by their files.
///
/// # Errors
/// When it cannot be read.
pub(super) fn look(folder: &Path) -> io::Result<BTreeMap<String, Facts>> {
    let mut there = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_component = path.extension().is_some_and(|end| end == "wasm");
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if is_component && !file.starts_with('.') {
            there.insert(file.to_owned(), Facts::of(&path));
        }
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_either_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.wasm"), "1").unwrap();
        let of = || look(folder.path()).unwrap()["a.wasm"];
        let mut before = of();
        let mut is_changed = || {
            let now = of();
            std::mem::replace(&mut before, now) != now
        };
        assert!(!is_changed());
        fs::write(at("a.toml"), "1").unwrap();
        assert!(is_changed());
        fs::write(at("new"), "1").unwrap();
        fs::rename(at("new"), at("a.wasm")).unwrap();
        assert!(is_changed());
        fs::remove_file(at("a.toml")).unwrap();
        assert!(is_changed());
        fs::write(at("a.wasm"), "12").unwrap();
        assert!(is_changed());
        fs::remove_file(at("a.wasm")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("a.wasm")).unwrap();
        assert!(is_changed());
        assert!(!is_changed());
    }

    #[test]
    fn only_components_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a.wasm", "a.toml", ".b.wasm", "notes", "c.wasm.part"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let there = look(folder.path()).unwrap();
        assert_eq!(there.keys().collect::<Vec<_>>(), ["a.wasm"]);
        assert!(look(&folder.path().join("none")).is_err());
    }
}
