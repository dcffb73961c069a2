//! Puts the built components where a host looks for them: `NAME.wasm` beside `NAME.toml`, and
//! `NAME.policy.toml` where it uses an endpoint.
//!
//! A running host may watch these folders, so a file appears under its name complete or not at
//! all, and one that did not change is left alone.

use crate::build::{COMPONENT_TARGET, STAMP, components_target};
use crate::say;
use crate::workspace::{Workspace, toml_string};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where the policies of endpoints are, each under the name of the plugin it is for.
const POLICIES: &str = "policies";

/// Where the runtimes are that were invented for tests.
const RUNTIMES: &str = "tests/runtimes";

/// What a plugins folder shall hold: file name to the file it is copied from.
type Files = BTreeMap<String, PathBuf>;

/// Brings the plugin and example folders up to date with the last build.
pub(crate) fn assemble(workspace: &Workspace) -> Result<(), String> {
    let built = components_target(workspace);
    synchronise(
        workspace,
        &workspace.plugins(),
        &shipped(workspace, &built)?,
    )?;
    let mut examples = Files::new();
    collect(workspace, &built, "plugins/examples", &mut examples)?;
    synchronise(workspace, &workspace.examples(), &examples)?;
    let mut runtimes = Files::new();
    collect_runtimes(workspace, &mut runtimes)?;
    synchronise(workspace, &workspace.test_plugins(), &runtimes)
}

/// Writes the shipped components that were built as their next version into a folder, each with a
/// manifest that says so. What else is in the folder stays.
pub(crate) fn assemble_next(
    workspace: &Workspace,
    built: &Path,
    folder: &Path,
) -> Result<(), String> {
    for (name, source) in shipped(workspace, built)? {
        let content = fs::read(&source).map_err(|error| failed("read", &source, &error))?;
        let is_manifest = source.starts_with(workspace.root.join("plugins"));
        let content = if is_manifest {
            stamped(&name, &content)?
        } else {
            content
        };
        update(workspace, folder, &name, &content)?;
    }
    Ok(())
}

/// A manifest that says the next version. Its `version` stands above all tables, on a line of its own.
fn stamped(name: &str, manifest: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(manifest).map_err(|error| format!("{name}: {error}"))?;
    let mut found = false;
    let mut lines = String::new();
    for line in text.lines() {
        let version = line
            .strip_prefix("version = \"")
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|_| !found);
        match version {
            Some(version) => {
                found = true;
                lines.push_str(&format!("version = \"{version}{STAMP}\"\n"));
            }
            None => lines.push_str(&format!("{line}\n")),
        }
    }
    if found {
        Ok(lines.into_bytes())
    } else {
        Err(format!("{name} has no line `version = \"...\"`"))
    }
}

/// The shipped components of a build, with what lies beside them.
fn shipped(workspace: &Workspace, built: &Path) -> Result<Files, String> {
    let mut files = Files::new();
    for group in ["plugins/backends", "plugins/items", "plugins/tasks"] {
        collect(workspace, built, group, &mut files)?;
    }
    Ok(files)
}

/// Adds the plugins of the runtimes that were invented for tests, each with its policy.
fn collect_runtimes(workspace: &Workspace, files: &mut Files) -> Result<(), String> {
    let built = components_target(workspace)
        .join(COMPONENT_TARGET)
        .join("release");
    for name in entries(&workspace.root.join(RUNTIMES))? {
        let folder = format!("{RUNTIMES}/{name}");
        if !workspace.root.join(&folder).is_dir() {
            continue;
        }
        let crate_file = format!("{folder}/plugin/Cargo.toml");
        let package = toml_string(&workspace.read(&crate_file)?, "package", "name")
            .ok_or_else(|| format!("{crate_file} names no package"))?;
        files.insert(format!("{name}.wasm"), built.join(wasm_file(&package)));
        for (file, place) in [
            (format!("{name}.toml"), "plugin/"),
            (format!("{name}.policy.toml"), ""),
        ] {
            let source = format!("{folder}/{place}{file}");
            files.insert(file, workspace.root.join(source));
        }
    }
    Ok(())
}

/// Adds the files of every plugin crate in one folder of the clone, if there is such a folder.
fn collect(
    workspace: &Workspace,
    built: &Path,
    group: &str,
    files: &mut Files,
) -> Result<(), String> {
    let built = built.join(COMPONENT_TARGET).join("release");
    for name in entries(&workspace.root.join(group))? {
        let folder = format!("{group}/{name}");
        if !workspace.root.join(&folder).join("Cargo.toml").is_file() {
            continue;
        }
        let package = toml_string(
            &workspace.read(&format!("{folder}/Cargo.toml"))?,
            "package",
            "name",
        )
        .ok_or_else(|| format!("{folder}/Cargo.toml names no package"))?;
        let manifest = workspace.root.join(&folder).join(format!("{name}.toml"));
        if !manifest.is_file() {
            return Err(format!(
                "the plugin in {folder} has no manifest {name}.toml"
            ));
        }
        let component = files.insert(format!("{name}.wasm"), built.join(wasm_file(&package)));
        if component.is_some() {
            return Err(format!("two plugins are named {name}; one is in {folder}"));
        }
        files.insert(format!("{name}.toml"), manifest);
        let policy = workspace.root.join(POLICIES).join(format!("{name}.toml"));
        if policy.is_file() {
            files.insert(format!("{name}.policy.toml"), policy);
        }
    }
    Ok(())
}

/// The file cargo builds for a component package.
fn wasm_file(package: &str) -> String {
    format!("{}.wasm", package.replace('-', "_"))
}

/// Makes `folder` hold `files`: changed ones are written, those of plugins that are gone removed.
fn synchronise(workspace: &Workspace, folder: &Path, files: &Files) -> Result<(), String> {
    for (name, source) in files {
        let content = fs::read(source).map_err(|error| failed("read", source, &error))?;
        update(workspace, folder, name, &content)?;
    }
    for name in entries(folder)? {
        let file = folder.join(&name);
        if !files.contains_key(&name) && is_ours(&name) {
            say(&format!("removing {}", workspace.short(&file).display()));
            fs::remove_file(&file).map_err(|error| failed("remove", &file, &error))?;
        }
    }
    Ok(())
}

/// Makes a file of a folder hold this, and says so if it did not.
fn update(workspace: &Workspace, folder: &Path, name: &str, content: &[u8]) -> Result<(), String> {
    let destination = folder.join(name);
    if fs::read(&destination).is_ok_and(|old| old == content) {
        return Ok(());
    }
    say(&format!(
        "updating {}",
        workspace.short(&destination).display()
    ));
    write_whole(folder, name, content)
}

/// Whether a file of a plugins folder is one this module writes; others are left alone.
fn is_ours(name: &str) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|extension| extension == "wasm" || extension == "toml")
}

/// Writes a file so that nobody ever sees half of it.
fn write_whole(folder: &Path, name: &str, content: &[u8]) -> Result<(), String> {
    let temporary = folder.join(format!(".{name}.part"));
    let destination = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&temporary, content))
        .and_then(|()| fs::rename(&temporary, &destination))
        .map_err(|error| failed("write", &destination, &error))
}

/// The names in a folder; none when it does not exist.
fn entries(folder: &Path) -> Result<Vec<String>, String> {
    match fs::read_dir(folder) {
        Ok(listing) => listing
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_, std::io::Error>>()
            .map_err(|error| failed("list", folder, &error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("list", folder, &error)),
    }
}

fn failed(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::{is_ours, stamped, wasm_file};

    #[test]
    fn the_next_version_is_said_once_and_nothing_else_changes() {
        let manifest = "name = \"a\"\nversion = \"0.1.0\"\n\n[settings]\nversion = \"7\"\n";
        let next = "name = \"a\"\nversion = \"0.1.0+next\"\n\n[settings]\nversion = \"7\"\n";
        assert_eq!(
            stamped("a.toml", manifest.as_bytes()).unwrap(),
            next.as_bytes()
        );
        let error = stamped("a.toml", b"name = \"a\"\n").unwrap_err();
        assert!(error.contains("a.toml"), "{error}");
    }

    #[test]
    fn a_package_builds_a_file_with_underscores() {
        assert_eq!(
            wasm_file("fleet-backend-native"),
            "fleet_backend_native.wasm"
        );
        assert_eq!(wasm_file("plain"), "plain.wasm");
    }

    #[test]
    fn only_components_and_manifests_are_ever_removed() {
        for (name, expected) in [
            ("native.wasm", true),
            ("native.toml", true),
            ("native.cwasm", false),
            (".native.wasm.part", false),
            ("notes", false),
        ] {
            assert_eq!(is_ours(name), expected, "{name}");
        }
    }
}
