//! When to build again: a mark over a project's sources that changes when one of them does.
//!
//! Made of paths, sizes and times, so it is quick, and it works where notices of changes do not come
//! through: in containers and on network file systems.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::project::DIST;

/// Folders at the top of a project that tools fill: what changes in them is no change of a source.
const MADE: [&str; 4] = [DIST, "build", "target", "venv"];
/// The same wherever they are.
const MADE_ANYWHERE: [&str; 2] = ["node_modules", "__pycache__"];
/// What a build writes among the sources.
const WRITTEN: &str = "Cargo.lock";

/// How deep and how many: more is no project.
const MAX_DEPTH: usize = 12;
const MAX_FILES: usize = 20_000;

/// The sources of a project at one moment. Two that are equal hold the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources(BTreeMap<PathBuf, Mark>);

/// Size and time of a file.
type Mark = (u64, Option<SystemTime>);

impl Sources {
    /// Looks at a project's folder. What cannot be read is left out.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        let mut found = Self::default();
        found.walk(folder, 0);
        found
    }

    /// The first file that is not as it was before.
    #[must_use]
    pub fn changed<'a>(&'a self, before: &'a Self) -> Option<&'a Path> {
        let is_new = |path: &PathBuf| before.0.get(path) != self.0.get(path);
        let is_gone = |path: &PathBuf| !self.0.contains_key(path);
        let new = self.0.keys().find(|path| is_new(path));
        let found = new.or_else(|| before.0.keys().find(|path| is_gone(path)));
        found.map(PathBuf::as_path)
    }

    /// Takes what a build has just written among the sources as it is now: that is no reason to build again.
    pub fn built(&mut self, folder: &Path) {
        let file = folder.join(WRITTEN);
        match fs::metadata(&file) {
            Ok(about) => self.0.insert(file, mark(&about)),
            Err(_) => self.0.remove(&file),
        };
    }

    fn walk(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || self.0.len() >= MAX_FILES {
                continue;
            }
            let Ok(about) = entry.metadata() else {
                continue;
            };
            if about.is_dir() {
                let is_made = MADE_ANYWHERE.contains(&name.as_ref())
                    || (depth == 0 && MADE.contains(&name.as_ref()));
                if depth < MAX_DEPTH && !is_made {
                    self.walk(&entry.path(), depth + 1);
                }
            } else if !name.ends_with('~') {
                self.0.insert(entry.path(), mark(&about));
            }
        }
    }
}

fn mark(about: &fs::Metadata) -> Mark {
    (about.len(), about.modified().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_count() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for made in ["src", "dist", "target", ".git"] {
            fs::create_dir(at(made)).unwrap();
        }
        fs::write(at("src/a.py"), "1").unwrap();
        let before = Sources::of(folder.path());
        assert_eq!(Sources::of(folder.path()).changed(&before), None);
        for ignored in [
            "dist/a.wasm",
            "target/x",
            ".git/index",
            "src/.a.py.swp",
            "src/a.py~",
        ] {
            fs::write(at(ignored), "x").unwrap();
        }
        assert_eq!(Sources::of(folder.path()), before);

        fs::write(at("src/a.py"), "22").unwrap();
        let after = Sources::of(folder.path());
        assert_eq!(after.changed(&before), Some(at("src/a.py").as_path()));
        fs::remove_file(at("src/a.py")).unwrap();
        let gone = Sources::of(folder.path());
        assert_eq!(gone.changed(&after), Some(at("src/a.py").as_path()));
    }

    #[test]
    fn what_tools_fill_at_the_top_may_be_a_source_further_down() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let before = Sources::of(folder.path());
        for (file, is_source) in [
            ("target/a.o", false),
            ("build/a.o", false),
            ("node_modules/a/index.js", false),
            ("sdk/node_modules/a/index.js", false),
            ("src/__pycache__/a.pyc", false),
            ("src/build/mod.rs", true),
            ("src/target/mod.rs", true),
            ("src/dist.rs", true),
            ("src/venv/__init__.py", true),
        ] {
            fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            fs::write(at(file), "x").unwrap();
            let after = Sources::of(folder.path());
            assert_eq!(after.changed(&before).is_some(), is_source, "{file}");
            fs::remove_file(at(file)).unwrap();
        }
    }

    #[test]
    fn what_a_build_writes_is_no_reason_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("Cargo.lock");
        let mut before = Sources::of(folder.path());
        fs::write(&lock, "1").unwrap();
        assert!(Sources::of(folder.path()).changed(&before).is_some());
        before.built(folder.path());
        assert_eq!(Sources::of(folder.path()).changed(&before), None);
        // What is saved after the build is.
        fs::write(&lock, "22").unwrap();
        let after = Sources::of(folder.path());
        assert_eq!(after.changed(&before), Some(lock.as_path()));
        fs::remove_file(&lock).unwrap();
        before.built(folder.path());
        assert_eq!(Sources::of(folder.path()).changed(&before), None);
    }
}
