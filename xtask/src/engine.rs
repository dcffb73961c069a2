//! The Docker engine that tests run against: what it needs, and how many tests had one.
//!
//! The tests start it themselves (`tests/engine`); here stands what is installed for it, and what is said
//! where it is not there.

use crate::say;
use crate::test::Missing;
use crate::tools::install;
use crate::workspace::{Workspace, on_path};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs the tests' engine needs, each with the Debian package that has it.
const PROGRAMS: [(&str, &str); 3] = [
    ("dockerd", "docker.io"),
    ("busybox", "busybox-static"),
    ("ip", "iproute2"),
];

/// Installs what is missing, or says how to get it: the tests that need it skip themselves.
pub(crate) fn provide(missing: Missing) -> Result<(), String> {
    let lacking: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let packages = lacking.join(" ");
    match missing {
        Missing::Install => {
            say(&format!(
                "installing {packages} for the tests' Docker engine"
            ));
            install(&lacking)
        }
        Missing::Skip => {
            say(&format!(
                "tests against a real Docker engine will be skipped; to get one: apt-get install {packages}"
            ));
            Ok(())
        }
    }
}

/// On `PATH`, or where daemons are.
fn is_there(program: &str) -> bool {
    let daemons = ["/usr/sbin", "/sbin"].map(Path::new);
    on_path(program).is_some() || daemons.iter().any(|folder| folder.join(program).is_file())
}

/// Tells tests what to do without an engine, whose end is its end, and where to note who got one.
pub(crate) fn describe(workspace: &Workspace, missing: Missing, command: &mut Command) {
    command
        .env("FLEET_TEST_ENGINE_RUN", std::process::id().to_string())
        .env("FLEET_TEST_ENGINE_TALLY", tally(workspace));
    if missing == Missing::Install {
        command.env("FLEET_TEST_ENGINE", "required");
    }
}

/// Forgets who got one before.
pub(crate) fn forget(workspace: &Workspace) {
    let _ = fs::remove_file(tally(workspace));
}

/// How many tests got one.
pub(crate) fn count(workspace: &Workspace) -> usize {
    let text = fs::read_to_string(tally(workspace)).unwrap_or_default();
    distinct(&text)
}

/// A test that ran twice is one test.
fn distinct(text: &str) -> usize {
    text.lines().collect::<BTreeSet<_>>().len()
}

fn tally(workspace: &Workspace) -> PathBuf {
    workspace.target.join("test-engine-tally")
}

#[cfg(test)]
mod tests {
    use super::distinct;

    #[test]
    fn each_test_counts_once() {
        assert_eq!(distinct(""), 0);
        assert_eq!(distinct("docker a\ndocker b\ndocker a\nkit a\n"), 3);
    }
}
