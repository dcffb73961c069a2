//! `cargo xtask run`: build, then become the host.

use crate::workspace::{Workspace, without_cargo_run_variables};
use crate::{Command, Failure, build};
use std::os::unix::process::CommandExt as _;
use std::process;

pub(crate) const COMMAND: Command = Command {
    name: "run",
    summary: "Build, then run the host with the shipped components.",
    usage: "\
Usage: cargo xtask run [-- ARGUMENTS]

Builds like `cargo xtask build`, then runs
  TARGET/release/fleet-host run --plugins TARGET/plugins --data TARGET/run ARGUMENTS
in place of this process, so signals and the exit code are the host's own.",
    run,
};

fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let extra = match arguments.split_first() {
        None => &[],
        Some((separator, extra)) if separator == "--" => extra,
        Some((argument, _)) => {
            return Err(Failure::Usage(format!(
                "unknown argument `{argument}`; arguments for the host go after `--`"
            )));
        }
    };
    build::build(workspace)?;
    // The host prints command lines to copy, made from its own; so it gets the shortest paths.
    let (plugins, data) = (workspace.plugins(), workspace.target.join("run"));
    let binary = workspace.host_binary();
    let mut host = process::Command::new(workspace.short(&binary));
    host.args([
        "run".as_ref(),
        "--plugins".as_ref(),
        workspace.short(&plugins),
    ])
    .args(["--data".as_ref(), workspace.short(&data)])
    .args(extra);
    without_cargo_run_variables(&mut host);
    let error = host.exec();
    Err(Failure::Failed(format!(
        "{} cannot be started: {error}",
        binary.display()
    )))
}
