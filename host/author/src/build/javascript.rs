//! JavaScript: componentize-js, which puts SpiderMonkey and the modules into one component.

use std::fs;
use std::path::{Path, PathBuf};

use fleet_model::Error;

use super::component::world;
use super::{WORLD, read, scratch};
use crate::project::Project;
use crate::tool::{Toolbox, command, missing, run};

/// The tool, in the project's own modules.
const TOOL: &str = "node_modules/@bytecodealliance/componentize-js/src/cli.js";

pub(super) fn build(project: &Project, tools: &Toolbox) -> Result<Vec<u8>, Error> {
    let node = tools.need(
        &["node"],
        &[],
        "apt-get install nodejs npm   # Node 20 or newer: https://nodejs.org",
    )?;
    if !project.root.join(TOOL).is_file() {
        return Err(missing(
            "componentize-js",
            "npm install   # in the project's folder",
        ));
    }
    world(project)?;
    for module in modules(&project.root.join("src")) {
        // The tool below names neither file nor line.
        run(command(&node, &project.root).arg("--check").arg(module))?;
    }
    let scratch = scratch(project)?;
    let file = scratch.file();
    let mut tool = command(&node, &project.root);
    // With them it would import `wasi:http`, which no host of ours has.
    let without = ["--disable", "http", "fetch-event"];
    tool.args([TOOL, "src/plugin.js", "--wit", "wit", "--world-name", WORLD]);
    run(tool.args(without).arg("--out").arg(&file))?;
    read(&file)
}

/// The modules of a folder. One that cannot be read is for the tool to tell.
fn modules(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .collect();
    found.sort();
    found
}
