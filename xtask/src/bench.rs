//! `cargo xtask bench`: build what is measured and what measures it, then measure.

use crate::build::COMPONENT_TARGET;
use crate::workspace::{Workspace, run, without_cargo_run_variables};
use crate::{Command, Failure, build, say};
use std::path::PathBuf;
use std::process;

pub(crate) const COMMAND: Command = Command {
    name: "bench",
    summary: "Measure the host against its floor and its peers.",
    usage: "\
Usage: cargo xtask bench [--only P1,P4] [--rounds N] [--install] [--quick]

Builds like `cargo xtask build`, and the benchmarks; runs them; writes
docs/benchmarks.json and docs/benchmarks.md; prints the table. With --only the
other rows stay as they are.

  --only IDS   these benchmarks: P1, P2, P3, P4, P5, P11, P12, P15, P16
  --rounds N   how often each contestant has its turn (default 9)
  --install    first put missing peers into TARGET/bench/peers, from PyPI and npm
  --quick      a smoke run: 3 rounds, 50 workloads; writes to TARGET/bench only

Peers that are not there are named in the report, with how to get them. A full
run takes about 40 minutes and 12 GiB of disk, and means little on a machine that is busy.",
    run: bench,
};

/// The benchmarks, and the program that runs them.
const PACKAGE: &str = "fleet-bench";

/// The gRPC peer and the component that is measured: workspaces of their own, which say why.
pub(crate) const GRPC_MANIFEST: &str = "tests/bench/grpc/Cargo.toml";
pub(crate) const GUEST_MANIFEST: &str = "tests/bench/guest/Cargo.toml";

fn bench(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    build::build(workspace)?;
    build::build_next(workspace, &workspace.next_plugins())?;
    say("building the benchmarks");
    // Together with the host, so that both are built from the same dependencies with the same
    // features.
    run(&mut workspace.cargo(["build", "--release", "-p", "fleet-cli", "-p", PACKAGE]))?;
    run(&mut grpc(workspace, "build"))?;
    run(&mut guest(workspace, "build"))?;
    let mut program = process::Command::new(workspace.target.join("release").join(PACKAGE));
    program
        .arg("--host")
        .arg(workspace.host_binary())
        .arg("--plugins")
        .arg(workspace.plugins())
        .arg("--next")
        .arg(workspace.next_plugins())
        .arg("--grpc")
        .arg(grpc_target(workspace).join("release/fleet-bench-grpc"))
        .arg("--guest")
        .arg(guest_target(workspace).join("wasm32-wasip2/release/fleet_bench_guest.wasm"))
        .arg("--work")
        .arg(workspace.target.join("bench"))
        .arg("--docs")
        .arg(workspace.root.join("docs"))
        .args(arguments);
    without_cargo_run_variables(&mut program);
    Ok(run(&mut program)?)
}

/// A cargo call on the gRPC peer's workspace.
pub(crate) fn grpc(workspace: &Workspace, subcommand: &str) -> process::Command {
    let mut command = workspace.cargo([subcommand, "--release", "--manifest-path", GRPC_MANIFEST]);
    command.arg("--target-dir").arg(grpc_target(workspace));
    command
}

/// A cargo call on the workspace of the component that is measured.
pub(crate) fn guest(workspace: &Workspace, subcommand: &str) -> process::Command {
    let mut command = workspace.cargo([subcommand, "--release", "--manifest-path", GUEST_MANIFEST]);
    command
        .args(["--target", COMPONENT_TARGET, "--target-dir"])
        .arg(guest_target(workspace));
    command
}

fn grpc_target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("bench-grpc")
}

fn guest_target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("bench-guest")
}
