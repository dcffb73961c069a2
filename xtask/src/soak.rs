//! `cargo xtask soak`: the tests that are too long for every change, in their full size.
//!
//! They are the tests marked `ignored`; each has a smaller twin that `cargo xtask test` runs.

use crate::areas::test_environment;
use crate::workspace::{Workspace, run};
use crate::{Command, Failure, build, no_arguments, say};

pub(crate) const COMMAND: Command = Command {
    name: "soak",
    summary: "Build, then run the long tests in their full size.",
    usage: "\
Usage: cargo xtask soak

Takes minutes to hours. Runs every test marked `ignored`, one at a time, so that none is
slowed by another; what each of them does and asserts is in its file under tests/.",
    run: soak,
};

fn soak(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    no_arguments(arguments)?;
    build::build(workspace)?;
    build::build_next(workspace, &workspace.next_plugins())?;
    say("running the long tests, one at a time");
    let mut command = workspace.cargo(["test", "--release", "--workspace", "--tests"]);
    run(test_environment(workspace, &mut command).args([
        "--no-fail-fast",
        "--",
        "--ignored",
        "--test-threads=1",
    ]))?;
    Ok(())
}
