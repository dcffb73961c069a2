//! Programs the tests need beside Rust: which version, who needs it, how it is installed.

use crate::say;
use crate::test::{Missing, Stop};
use crate::workspace::{Workspace, on_path, output, run};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// A program from the system's packages that the tests of an area start.
struct SystemPackage {
    command: &'static str,
    debian: &'static str,
    area: &'static str,
}

const SYSTEM_PACKAGES: [SystemPackage; 2] = [
    SystemPackage {
        command: "python3",
        debian: "python3",
        area: "e2e",
    },
    SystemPackage {
        command: "ps",
        debian: "procps",
        area: "e2e",
    },
];

/// Makes sure that the system programs of an area are there.
pub(crate) fn system_packages(area: &str, missing: Missing) -> Result<(), Stop> {
    for package in SYSTEM_PACKAGES {
        if package.area != area || on_path(package.command).is_some() {
            continue;
        }
        let name = package.debian;
        match missing {
            Missing::Skip => {
                return Err(Stop::Skipped {
                    why: format!("there is no `{}`", package.command),
                    remedy: format!("to get it: apt-get install {name}"),
                });
            }
            Missing::Install => {
                say(&format!(
                    "installing the system package {name} for area {area}"
                ));
                install(&[name])?;
            }
        }
    }
    Ok(())
}

/// Installs packages of the system.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    run(Command::new("apt-get")
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

/// The cargo-deny to use: the pinned one from the tools folder, which is installed first if it
/// may be; else whichever `PATH` has.
pub(crate) fn cargo_deny(workspace: &Workspace, missing: Missing) -> Result<PathBuf, Stop> {
    let folder = tools_folder()?;
    let pinned = folder.join("bin/cargo-deny");
    if version_of(&pinned).is_some_and(|version| version == CARGO_DENY) {
        return Ok(pinned);
    }
    match missing {
        Missing::Install => {
            say(&format!(
                "installing cargo-deny {CARGO_DENY}, 4 to 8 minutes on 2 cores"
            ));
            let build = folder.join("build");
            run(workspace
                .cargo([
                    "install",
                    "--locked",
                    "--version",
                    CARGO_DENY,
                    "cargo-deny",
                    "--root",
                ])
                .arg(&folder)
                .env("CARGO_TARGET_DIR", &build))?;
            if let Err(error) = fs::remove_dir_all(&build) {
                say(&format!("{} stays behind: {error}", build.display()));
            }
            Ok(pinned)
        }
        Missing::Skip => on_path("cargo-deny").ok_or_else(|| Stop::Skipped {
            why: "cargo-deny is not installed".to_owned(),
            remedy: format!("to get it: cargo install --locked cargo-deny@{CARGO_DENY}"),
        }),
    }
}

/// Where tools are kept that are built once and used by every clone.
fn tools_folder() -> Result<PathBuf, String> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("FLEET_CI_CACHE").map(PathBuf::from);
    let home = || set("HOME").map(|home| Path::new(&home).join(".cache/fleet-host"));
    let cache = cache.or_else(home).ok_or("HOME is not set")?;
    Ok(cache.join("tools"))
}

/// The version a tool prints as `NAME VERSION`; none when it cannot be started.
fn version_of(program: &Path) -> Option<String> {
    let text = output(Command::new(program).arg("--version")).ok()?;
    text.split_ascii_whitespace().nth(1).map(str::to_owned)
}
