//! Programs of the author's machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleet_model::{Error, ErrorKind};

/// How much of a failed tool's words is passed on, in lines.
const MAX_LINES: usize = 60;

/// Where programs are looked for.
#[derive(Debug, Clone, Default)]
pub struct Toolbox {
    path: Option<OsString>,
}

impl Toolbox {
    /// Those on a search path, as `PATH` holds it.
    #[must_use]
    pub fn new(path: Option<OsString>) -> Self {
        Self { path }
    }

    /// The first of these programs that there is, in these folders before all others.
    pub(crate) fn find(&self, names: &[&str], first: &[PathBuf]) -> Option<PathBuf> {
        let path = self.path.as_deref().map(std::env::split_paths);
        let folders: Vec<PathBuf> = first
            .iter()
            .cloned()
            .chain(path.into_iter().flatten())
            .collect();
        let mut places = names
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        places.find(|place| place.is_file())
    }

    /// The same, or what is missing, by its last name, and how to get it.
    pub(crate) fn need(
        &self,
        names: &[&str],
        first: &[PathBuf],
        remedy: &str,
    ) -> Result<PathBuf, Error> {
        self.find(names, first)
            .ok_or_else(|| missing(names.last().copied().unwrap_or_default(), remedy))
    }
}

/// A tool is not there.
pub(crate) fn missing(name: &str, remedy: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "tool-missing",
        format!("`{name}` is needed and not found; to get it:\n{remedy}"),
    )
}

/// A command in a folder, whose words are kept.
pub(crate) fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    // What is wrong stands before a tool's backtrace, which would push it out of sight.
    command.env_remove("RUST_BACKTRACE");
    command
}

/// Runs a command to its end and answers what it wrote to stdout.
///
/// # Errors
/// `invalid` (`does-not-build`) with the end of what it said.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let output = command.output().map_err(|error| {
        Error::unavailable("no-tool", format!("`{name}` cannot be started: {error}"))
    })?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(out);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = if said.trim().is_empty() { out } else { said };
    Err(Error::invalid(
        "does-not-build",
        format!("`{name}` failed ({}):\n{}", output.status, last(&said)),
    ))
}

/// The end of a text.
fn last(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(MAX_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_the_project_first() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        let other = folder.path().join("other");
        for place in [&own, &other] {
            std::fs::create_dir(place).unwrap();
            std::fs::write(place.join("tool"), "").unwrap();
        }
        let toolbox = Toolbox::new(Some(other.clone().into_os_string()));
        assert_eq!(
            toolbox.find(&["no", "tool"], std::slice::from_ref(&own)),
            Some(own.join("tool"))
        );
        assert_eq!(toolbox.find(&["tool"], &[]), Some(other.join("tool")));
        let error = toolbox
            .need(&["no"], &[], "apt-get install no")
            .unwrap_err();
        assert_eq!(error.code, "tool-missing");
        assert!(error.message.ends_with("\napt-get install no"), "{error}");
    }

    #[test]
    fn a_tool_that_fails_is_quoted() {
        let shell = |script: &str| {
            let mut command = command(Path::new("/bin/sh"), Path::new("/"));
            run(command.args(["-c", script]))
        };
        assert_eq!(shell("echo out; echo no >&2").unwrap(), "out\n");
        let error = shell("seq 100 >&2; exit 3").unwrap_err();
        assert_eq!(error.code, "does-not-build");
        assert!(error.message.contains("`sh` failed"), "{error}");
        assert!(error.message.ends_with("\n99\n100"), "{error}");
        assert!(!error.message.contains("\n40\n"), "{error}");
    }
}
