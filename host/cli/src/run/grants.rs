//! What plugins may do: the file that is named, else the one in the data folder, which a first start
//! writes for the plugins that were shipped.
//!
//! That file is for a process on loopback only. Every host is one as long as nothing else is served
//! ([`super::listen`]).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fleet_model::Name;
use fleet_plugin::{Grants, Usual, default_grants, manifests};

use crate::failure::{Failure, reason};

/// Its name in the data folder.
pub(super) const FILE: &str = "grants.toml";

/// The plugins that come with the host.
const SHIPPED: [&str; 3] = ["native", "mock", "docker"];

/// Grants, and where they stand.
#[derive(Debug)]
pub(super) struct Granted {
    /// What is granted.
    pub(super) grants: Grants,
    /// Where.
    pub(super) path: PathBuf,
    /// Whether the file was written just now.
    pub(super) is_new: bool,
}

/// Reads the grants, or writes the first ones, with the endpoints that are `usual` here.
pub(super) fn find(
    named: Option<&Path>,
    data: &Path,
    plugins: &Path,
    usual: &[Usual],
) -> Result<Granted, Failure> {
    let path = named.map_or_else(|| data.join(FILE), Path::to_path_buf);
    let is_new = named.is_none() && !path.exists();
    if is_new {
        let shipped: Vec<Name> = SHIPPED
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        let text = default_grants(&manifests(plugins)?, &shipped, usual);
        write(&path, data, &text)?;
    }
    let grants = Grants::read(&path).map_err(|error| {
        let failure = Failure::from(error);
        if failure.help.is_some() {
            failure
        } else {
            failure.help("mend that file, or name another with --grants")
        }
    })?;
    Ok(Granted {
        grants,
        path,
        is_new,
    })
}

/// Whole or not at all; somebody else's file stays.
fn write(path: &Path, data: &Path, text: &str) -> Result<(), Failure> {
    let unwritten = |error: &std::io::Error| {
        Failure::failed(format!(
            "cannot write {}: {}",
            path.display(),
            reason(error)
        ))
        .help("see that there is space and that you may write there")
    };
    let beside = tempfile::NamedTempFile::new_in(data).map_err(|error| unwritten(&error))?;
    std::fs::write(beside.path(), text).map_err(|error| unwritten(&error))?;
    match beside.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unwritten(&error.error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATIVE: &str =
        "name = \"native\"\nkind = \"backend\"\nversion = \"1\"\n[capabilities]\nlog = true\n";

    fn plugins() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("native", NATIVE.to_owned()),
            ("stranger", NATIVE.replace("native", "stranger")),
        ] {
            std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
            std::fs::write(folder.path().join(format!("{name}.wasm")), "").unwrap();
        }
        folder
    }

    #[test]
    fn a_first_start_writes_grants_for_shipped_plugins_and_never_again() {
        let (plugins, data) = (plugins(), tempfile::tempdir().unwrap());
        let first = find(None, data.path(), plugins.path(), &[]).unwrap();
        assert!(first.is_new);
        assert_eq!(first.grants.summary(), ["native: log"]);
        std::fs::write(&first.path, "[native]\nclock = true\n").unwrap();
        let second = find(None, data.path(), plugins.path(), &[]).unwrap();
        assert!(!second.is_new);
        assert_eq!(second.grants.summary(), ["native: clock"]);
    }

    #[test]
    fn a_named_file_must_be_there_and_be_right() {
        let (plugins, data) = (plugins(), tempfile::tempdir().unwrap());
        let path = data.path().join("g.toml");
        let failure = find(Some(&path), data.path(), plugins.path(), &[]).unwrap_err();
        assert!(failure.message.contains("g.toml") && failure.help.unwrap().contains("--grants"));
        std::fs::write(&path, "[native]\nlogs = true\n").unwrap();
        let failure = find(Some(&path), data.path(), plugins.path(), &[]).unwrap_err();
        assert!(failure.message.contains("g.toml:2"), "{failure:?}");
    }
}
