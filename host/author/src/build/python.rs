//! Python: componentize-py, which puts the interpreter, the modules and their state after import into one
//! component.

use fleet_model::Error;

use super::component::world;
use super::{WORLD, read, scratch};
use crate::project::Project;
use crate::tool::{Toolbox, command, run};

/// Packages of others, where the author has put some.
const VENDORED: &str = "vendor";

const REMEDY: &str = "python3 -m venv .venv\n.venv/bin/pip install componentize-py==0.25.0   # in the project's folder";

pub(super) fn build(project: &Project, tools: &Toolbox) -> Result<Vec<u8>, Error> {
    let own = project.root.join(".venv/bin");
    let tool = tools.need(&["componentize-py"], &[own], REMEDY)?;
    world(project)?;
    let scratch = scratch(project)?;
    let file = scratch.file();
    let mut tool = command(&tool, &project.root);
    tool.args([
        "--quiet",
        "--wit-path",
        "wit",
        "--world",
        WORLD,
        "componentize",
    ]);
    tool.args(["plugin", "--python-path", "src", "--python-path", "sdk"]);
    if project.root.join(VENDORED).is_dir() {
        tool.args(["--python-path", VENDORED]);
    }
    run(tool.arg("--output").arg(&file))?;
    read(&file)
}
