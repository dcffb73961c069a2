//! C: bindings from the project's `wit/`, `make` with clang, and the module made a component here.

use std::fs;

use fleet_model::Error;

use super::component::{bindings, componentize};
use super::{WORLD, read};
use crate::dist::write_whole;
use crate::not_done;
use crate::project::Project;
use crate::tool::{Toolbox, command, run};

/// Where bindings and objects go.
const BUILD: &str = "build";

/// Newest first. The one without a number comes last: it is whatever a distribution takes for its own, and
/// that may be too old for WebAssembly.
const CLANG: [&str; 6] = [
    "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang",
];

const REMEDY: &str =
    "apt-get install make clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32   # or a wasi-sdk";

pub(super) fn build(project: &Project, tools: &Toolbox) -> Result<Vec<u8>, Error> {
    let make = tools.need(&["make"], &[], REMEDY)?;
    let clang = tools.need(&CLANG, &[], REMEDY)?;
    let folder = project.root.join(BUILD);
    fs::create_dir_all(&folder).map_err(|error| not_done("make", &folder, &error))?;
    for (name, content) in bindings(&project.root.join("wit"), WORLD)? {
        let file = folder.join(name);
        // An older file would have `make` build again what did not change.
        if fs::read(&file).is_ok_and(|old| old == content) {
            continue;
        }
        write_whole(&file, &content)?;
    }
    let mut make = command(&make, &project.root);
    let clang = format!("CLANG={}", clang.display());
    run(make.args(["--silent", &clang, "build/plugin.wasm"]))?;
    componentize(&read(&folder.join("plugin.wasm"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_clang_is_taken_and_the_one_without_a_number_last() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Toolbox::new(Some(folder.path().into()));
        let error = tools.need(&CLANG, &[], REMEDY).unwrap_err();
        assert!(error.message.starts_with("`clang` is needed"), "{error}");
        for name in ["clang", "clang-18", "clang-20"] {
            let file = folder.path().join(name);
            fs::write(&file, "").unwrap();
            assert_eq!(tools.need(&CLANG, &[], REMEDY).unwrap(), file);
        }
    }
}
