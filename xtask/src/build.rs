//! `cargo xtask build`: the components, the host, and the folders they are used from.

use crate::workspace::{Workspace, on_path, output, run, toml_string};
use crate::{Command, Failure, assemble, say};
use std::env::consts::{ARCH, OS};
use std::path::{Path, PathBuf};
use std::process;

pub(crate) const COMMAND: Command = Command {
    name: "build",
    summary: "Build the shipped components and the host (release).",
    usage: "\
Usage: cargo xtask build [--next DIR]

Leaves the host in TARGET/release/fleet-host, the shipped components with their
manifests in TARGET/plugins, the examples in TARGET/examples. TARGET is
CARGO_TARGET_DIR, else `target`. Adds the Rust target wasm32-wasip2 through
rustup when it is missing; changes nothing else on the machine.

  --next DIR  instead, write the shipped components into DIR as their next version:
              other components, which do the same and say `VERSION+next`. For trying
              `fleet-host plugin swap`. Other files in DIR are left alone.",
    run: |workspace, arguments| match next_folder(arguments)? {
        None => Ok(build(workspace)?),
        Some(folder) => Ok(build_next(workspace, &folder)?),
    },
};

/// What the next version of a component adds to its version. Build metadata (Semantic Versioning
/// 2.0.0, 10): neither newer nor older.
pub(crate) const STAMP: &str = "+next";

/// The variable from which the SDK's `version!` takes it.
const STAMP_VARIABLE: &str = "FLEET_PLUGIN_STAMP";

/// The Rust target of components.
pub(crate) const COMPONENT_TARGET: &str = "wasm32-wasip2";

/// Builds everything a host needs to run. Errors are one message for a person.
pub(crate) fn build(workspace: &Workspace) -> Result<(), String> {
    check_platform(OS, ARCH)?;
    check_c_compiler()?;
    add_component_target(workspace)?;
    if !workspace.host_binary().exists() {
        say("the first build takes 10 to 20 minutes on 2 cores; later ones take seconds");
    }
    say("building the components");
    run(&mut components(workspace, "build"))?;
    say("building the host");
    run(&mut workspace.cargo(["build", "--release", "-p", "fleet-cli"]))?;
    assemble::assemble(workspace)?;
    let host = workspace.host_binary();
    say(&format!("ready: {}", workspace.short(&host).display()));
    Ok(())
}

/// The folder after `--next`.
fn next_folder(arguments: &[String]) -> Result<Option<PathBuf>, Failure> {
    match arguments {
        [] => Ok(None),
        [flag, folder] if flag == "--next" => Ok(Some(folder.into())),
        [flag] if flag == "--next" => Err(Failure::Usage("--next needs a folder".to_owned())),
        [argument, ..] => Err(Failure::Usage(format!("unknown argument `{argument}`"))),
    }
}

/// Builds the shipped components as their next version, into a folder. They have a target folder of
/// their own: in a shared one each of the two builds would undo the other.
pub(crate) fn build_next(workspace: &Workspace, folder: &Path) -> Result<(), String> {
    check_platform(OS, ARCH)?;
    add_component_target(workspace)?;
    say("building the components as their next version");
    let target = workspace.target.join("plugins-next-build");
    let mut command = components_into(workspace, "build", &target);
    run(command
        .args(["--target", COMPONENT_TARGET])
        .env(STAMP_VARIABLE, STAMP))?;
    assemble::assemble_next(workspace, &target, folder)?;
    say(&format!("ready: {}", workspace.short(folder).display()));
    Ok(())
}

/// A cargo call on the components' workspace. Its artefacts stay in a folder of their own, so
/// that they do not wait for the host's build lock or get in its way.
pub(crate) fn components(workspace: &Workspace, subcommand: &str) -> process::Command {
    let mut command = components_here(workspace, subcommand);
    command.args(["--target", COMPONENT_TARGET]);
    command
}

/// The same for this machine instead of WebAssembly: what the components' own tests run on.
pub(crate) fn components_here(workspace: &Workspace, subcommand: &str) -> process::Command {
    components_into(workspace, subcommand, &components_target(workspace))
}

fn components_into(workspace: &Workspace, subcommand: &str, target: &Path) -> process::Command {
    let mut command = workspace.cargo([subcommand, "--release", "--workspace"]);
    command
        .args(["--manifest-path", "plugins/Cargo.toml", "--target-dir"])
        .arg(target)
        .env_remove(STAMP_VARIABLE);
    command
}

/// The target folder of the components' workspace.
pub(crate) fn components_target(workspace: &Workspace) -> std::path::PathBuf {
    workspace.target.join("plugins-build")
}

fn check_platform(os: &str, arch: &str) -> Result<(), String> {
    if os == "linux" && matches!(arch, "x86_64" | "aarch64") {
        return Ok(());
    }
    Err(format!(
        "fleet-host runs on Linux on x86_64 and aarch64; this is {os} on {arch}"
    ))
}

fn check_c_compiler() -> Result<(), String> {
    if on_path("cc").is_some() {
        return Ok(());
    }
    Err(
        "there is no C compiler: `cc` is not on PATH, and SQLite is built with it.\n\
         Debian and Ubuntu: apt-get install gcc libc6-dev. Fedora: dnf install gcc."
            .to_owned(),
    )
}

/// Adds the components' Rust target to the toolchain that `rust-toolchain.toml` pins. It is not
/// listed in that file because rustup would then look for it on the network at every cargo call.
fn add_component_target(workspace: &Workspace) -> Result<(), String> {
    let mut rustc = process::Command::new("rustc");
    rustc
        .args(["--print", "sysroot"])
        .current_dir(&workspace.root);
    let sysroot = output(&mut rustc)?;
    let installed = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(COMPONENT_TARGET);
    if installed.is_dir() {
        return Ok(());
    }
    if on_path("rustup").is_none() {
        return Err(format!(
            "the Rust target {COMPONENT_TARGET} is missing and there is no rustup to add it.\n\
             Install rustup (https://rustup.rs), or the package of your system that holds the \
             standard library for {COMPONENT_TARGET}."
        ));
    }
    let pinned = toml_string(
        &workspace.read("rust-toolchain.toml")?,
        "toolchain",
        "channel",
    )
    .ok_or("rust-toolchain.toml names no channel")?;
    say(&format!(
        "adding the Rust target {COMPONENT_TARGET} to toolchain {pinned}"
    ));
    run(process::Command::new("rustup").args([
        "target",
        "add",
        "--toolchain",
        &pinned,
        COMPONENT_TARGET,
    ]))
}

#[cfg(test)]
mod tests {
    use super::{Failure, check_platform, next_folder};

    #[test]
    fn the_next_version_goes_into_the_folder_that_is_named() {
        let of = |words: &[&str]| {
            next_folder(&words.iter().map(|word| (*word).into()).collect::<Vec<_>>())
        };
        assert!(matches!(of(&[]), Ok(None)));
        assert!(matches!(of(&["--next", "d"]), Ok(Some(folder)) if folder == *"d"));
        for wrong in [
            &["--next"][..],
            &["d"],
            &["--next", "d", "e"],
            &["--nxt", "d"],
        ] {
            assert!(matches!(of(wrong), Err(Failure::Usage(_))), "{wrong:?}");
        }
    }

    #[test]
    fn only_linux_on_two_architectures_is_accepted() {
        assert!(check_platform("linux", "x86_64").is_ok());
        assert!(check_platform("linux", "aarch64").is_ok());
        assert!(check_platform("macos", "aarch64").is_err());
        assert!(check_platform("linux", "riscv64").is_err());
    }
}
