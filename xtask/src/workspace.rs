//! Where things are, and how other programs are called.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The clone this process works on and the folder its build results go to.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, absolute.
    pub(crate) target: PathBuf,
    current: PathBuf,
}

impl Workspace {
    /// Finds the clone through the variable cargo sets for `cargo run`, and the target folder
    /// where cargo would put it: `CARGO_TARGET_DIR`, relative to the current folder, else
    /// `target` in the clone.
    pub(crate) fn locate() -> Result<Self, String> {
        let root = env::var_os("CARGO_MANIFEST_DIR")
            .and_then(|xtask| Path::new(&xtask).parent().map(Path::to_owned))
            .ok_or("start this as `cargo xtask`: cargo tells it where the workspace is")?;
        let current = env::current_dir()
            .map_err(|error| format!("the current folder cannot be read: {error}"))?;
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) if !folder.is_empty() => current.join(folder),
            _ => root.join("target"),
        };
        Ok(Self {
            root,
            target,
            current,
        })
    }

    /// The host's binary.
    pub(crate) fn host_binary(&self) -> PathBuf {
        self.target.join("release/fleet-host")
    }

    /// The folder with the shipped components and their manifests.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// The folder with the example components and their manifests.
    pub(crate) fn examples(&self) -> PathBuf {
        self.target.join("examples")
    }

    /// The folder with the components of runtimes that were invented for tests.
    pub(crate) fn test_plugins(&self) -> PathBuf {
        self.target.join("test-plugins")
    }

    /// The folder with the next versions of the shipped components, for tests.
    pub(crate) fn next_plugins(&self) -> PathBuf {
        self.target.join("next-plugins")
    }

    /// `path` as a person in the current folder would type it.
    pub(crate) fn short<'path>(&self, path: &'path Path) -> &'path Path {
        shorten(path, &self.current)
    }

    /// Cargo, in the clone's root, with this target folder.
    pub(crate) fn cargo<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Command {
        let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        without_cargo_run_variables(&mut command);
        command
    }

    /// Reads a text file of the clone; `file` is relative to its root.
    pub(crate) fn read(&self, file: &str) -> Result<String, String> {
        fs::read_to_string(self.root.join(file))
            .map_err(|error| format!("{file} cannot be read: {error}"))
    }
}

/// `path` relative to `current` when it lies below, else as it is.
fn shorten<'path>(path: &'path Path, current: &Path) -> &'path Path {
    match path.strip_prefix(current) {
        Ok(relative) if relative.components().next().is_some() => relative,
        _ => path,
    }
}

/// Takes away what `cargo run` set to describe this crate: build scripts and the host would take
/// it for a description of themselves.
pub(crate) fn without_cargo_run_variables(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
}

/// Runs a program with the terminal's input and output until it ends.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("{} cannot be started: {error}", shown(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{}` failed ({status})", shown(command)))
}

/// Runs a program and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{} cannot be started: {error}", shown(command)))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let line = shown(command);
        return Err(format!("`{line}` failed ({})\n{errors}", output.status));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("`{}` wrote something other than text", shown(command)))
}

/// The command line, for messages: program name without its folder.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The program of this name that `PATH` finds.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The value of `key = "value"` in one section of a TOML file. Enough for the few keys this crate
/// needs, which `cargo new` and `rustup` write one to a line.
pub(crate) fn toml_string(text: &str, section: &str, key: &str) -> Option<String> {
    let header = format!("[{section}]");
    text.lines()
        .map(str::trim)
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim() == key)
        .and_then(|(_, value)| {
            Some(
                value
                    .trim()
                    .strip_prefix('"')?
                    .split_once('"')?
                    .0
                    .to_owned(),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::{shorten, toml_string};
    use std::path::Path;

    #[test]
    fn a_path_below_the_current_folder_is_shown_relative_to_it() {
        let current = Path::new("/home/ada/fleet");
        for (path, expected) in [
            ("/home/ada/fleet/target/plugins", "target/plugins"),
            ("/home/ada/fleet", "/home/ada/fleet"),
            ("/home/ada/fleet-2/target", "/home/ada/fleet-2/target"),
            ("/var/cache/target", "/var/cache/target"),
        ] {
            assert_eq!(shorten(Path::new(path), current), Path::new(expected));
        }
    }

    #[test]
    fn a_key_is_read_from_its_own_section_only() {
        let text =
            "[lib]\nname = \"other\"\n\n[package]\nversion = \"1\"\nname = \"fleet-x\" # so\n";
        let read = |section, key| toml_string(text, section, key);
        assert_eq!(read("package", "name").as_deref(), Some("fleet-x"));
        assert_eq!(read("lib", "name").as_deref(), Some("other"));
        assert_eq!(read("lib", "version"), None);
        assert_eq!(read("bin", "name"), None);
    }
}
