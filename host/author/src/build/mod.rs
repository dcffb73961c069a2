//! `plugin build`: from sources to `dist/NAME.wasm`, whatever the toolchain.

mod c;
mod component;
mod javascript;
mod python;
mod rust;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fleet_model::Error;

use crate::dist::{Built, deliver};
use crate::language::Language;
use crate::not_done;
use crate::project::{DIST, Project};
use crate::tool::Toolbox;

/// The world that projects with a `wit/` of their own build.
const WORLD: &str = "plugin";

/// How the folders begin in which tools write.
const SCRATCH: &str = ".build-";

/// Builds a project. Blocks for as long as its toolchain works.
///
/// # Errors
/// `unsupported` (`tool-missing`) with how to get it; `invalid` (`does-not-build`) with the tool's words,
/// (`bad-component`) for a component that no host would take, (`no-sdk`); `unavailable` (`no-access`).
pub fn build(project: &Project, tools: &Toolbox) -> Result<Built, Error> {
    check_sdk(project)?;
    clear(&project.root.join(DIST));
    let component = match project.language {
        Language::Rust => rust::build(project, tools),
        Language::Python => python::build(project, tools),
        Language::JavaScript => javascript::build(project, tools),
        Language::C => c::build(project, tools),
    }?;
    deliver(project, &component)
}

/// A project that was copied without its SDK is told before a compiler says it in other words.
fn check_sdk(project: &Project) -> Result<(), Error> {
    if project.root.join("sdk").is_dir() {
        return Ok(());
    }
    let folder = project.root.display();
    Err(Error::invalid(
        "no-sdk",
        format!("{folder} has no `sdk`: write it with\nfleet-host plugin sdk {folder}"),
    ))
}

/// A place in the project for a tool to write to. It goes with the value; while that lives, the folder is
/// locked.
struct Scratch {
    folder: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// The component to be.
    fn file(&self) -> PathBuf {
        self.folder.path().join("plugin.wasm")
    }
}

fn scratch(project: &Project) -> Result<Scratch, Error> {
    let dist = project.root.join(DIST);
    let failed = |error: io::Error| not_done("write into", &dist, &error);
    fs::create_dir_all(&dist).map_err(|error| not_done("make", &dist, &error))?;
    let folder = tempfile::Builder::new()
        .prefix(SCRATCH)
        .tempdir_in(&dist)
        .map_err(failed)?;
    let lock = File::open(folder.path()).map_err(failed)?;
    lock.lock().map_err(failed)?;
    Ok(Scratch {
        folder,
        _lock: lock,
    })
}

/// Removes what builds have left that were broken off. What is locked belongs to one that is under way; what
/// cannot be removed is in nobody's way.
fn clear(dist: &Path) {
    let Ok(entries) = fs::read_dir(dist) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            continue;
        }
        let folder = entry.path();
        let lock = File::open(&folder);
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    fs::read(file).map_err(|error| not_done("read", file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::new::create;

    #[test]
    fn what_a_broken_build_left_goes_and_what_is_under_way_stays() {
        let folder = tempfile::tempdir().unwrap();
        let name = "harbour".parse().unwrap();
        let root = create(folder.path(), &name, Language::Python).unwrap();
        let project = Project::open(&root).unwrap();
        let under_way = scratch(&project).unwrap();
        let file = under_way.file();
        let dist = project.root.join(DIST);
        for (path, text) in [(file.clone(), "half"), (dist.join("harbour.wasm"), "whole")] {
            fs::write(path, text).unwrap();
        }
        let left = dist.join(".build-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("plugin.wasm"), "half").unwrap();
        clear(&dist);
        assert!(!left.exists());
        assert!(file.exists() && dist.join("harbour.wasm").exists());

        drop(under_way);
        assert!(!file.parent().unwrap().exists());
        clear(&project.root.join("nowhere"));
    }
}
