//! `cargo xtask generate`: the documents that the host itself writes.
//!
//! They are checked in so that they can be read and reviewed without a build; the test area
//! `drift` refuses a copy that no longer matches the host.

use crate::workspace::{Workspace, output};
use crate::{Command, Failure, build, no_arguments, say};
use std::fs;
use std::process;

pub(crate) const COMMAND: Command = Command {
    name: "generate",
    summary: "Rewrite the checked-in documents that the host generates.",
    usage: "\
Usage: cargo xtask generate

Builds like `cargo xtask build`, then rewrites docs/openapi.json with
`fleet-host openapi`, docs/configuration.md with `fleet-host config reference`
and docs/wit.md with `fleet-host plugin contract`.",
    run,
};

/// A checked-in file and the host's command that prints it.
struct Document {
    file: &'static str,
    command: &'static [&'static str],
}

const DOCUMENTS: [Document; 3] = [
    Document {
        file: "docs/openapi.json",
        command: &["openapi"],
    },
    Document {
        file: "docs/configuration.md",
        command: &["config", "reference"],
    },
    Document {
        file: "docs/wit.md",
        command: &["plugin", "contract"],
    },
];

fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    no_arguments(arguments)?;
    build::build(workspace)?;
    for document in DOCUMENTS {
        let path = workspace.root.join(document.file);
        let content = document.print(workspace)?;
        if fs::read(&path).is_ok_and(|old| old == content.as_bytes()) {
            say(&format!("{} is up to date", document.file));
            continue;
        }
        fs::write(&path, content)
            .map_err(|error| format!("{} cannot be written: {error}", document.file))?;
        say(&format!("{} is rewritten", document.file));
    }
    Ok(())
}

/// Compares each document with what the built host prints, and shows the differences. The error
/// names the files that differ.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let mut outdated = Vec::new();
    for document in DOCUMENTS {
        let content = document.print(workspace)?;
        let path = workspace.root.join(document.file);
        if fs::read(&path).is_ok_and(|old| old == content.as_bytes()) {
            continue;
        }
        outdated.push(document.file);
        let expected = workspace.target.join("expected").join(document.file);
        fs::create_dir_all(expected.parent().unwrap_or(&workspace.target))
            .and_then(|()| fs::write(&expected, content))
            .map_err(|error| format!("{} cannot be written: {error}", expected.display()))?;
        // Only for the reader: the comparison is done, and `diff` fails when files differ.
        let mut diff = process::Command::new("diff");
        diff.arg("-uN").arg(&path).arg(&expected);
        if let Err(error) = diff.status() {
            say(&format!(
                "no differences shown, diff cannot be started: {error}"
            ));
        }
    }
    if outdated.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not what the host prints: {}; `cargo xtask generate` rewrites them",
        outdated.join(", ")
    ))
}

impl Document {
    fn print(&self, workspace: &Workspace) -> Result<String, String> {
        output(process::Command::new(workspace.host_binary()).args(self.command))
    }
}
