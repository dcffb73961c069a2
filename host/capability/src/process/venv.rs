//! A Python virtual environment in the workspace.
//!
//! Where a workspace has one, `python app.py` should mean its Python, as it would in a shell that
//! activated it. Only a launcher for any program does this: one that names its executable runs
//! just that. A workload that sets `PATH` or `VIRTUAL_ENV` itself has decided already.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::launcher::Launcher;

/// Where it is looked for, in the workspace.
pub(crate) const FOLDER: &str = ".venv";

const NAME: &str = "VIRTUAL_ENV";

/// The environment to use, if there is one to use.
pub(crate) fn find(
    launcher: &Launcher,
    env: &BTreeMap<String, String>,
    workspace: &Path,
) -> Option<PathBuf> {
    let is_set = ["PATH", NAME].iter().any(|name| env.contains_key(*name));
    let folder = workspace.join(FOLDER);
    let is_there = || folder.join("pyvenv.cfg").is_file() && folder.join("bin").is_dir();
    (launcher.any && !is_set && is_there()).then_some(folder)
}

/// Sets what activating it sets.
pub(crate) fn activate(venv: &Path, env: &mut BTreeMap<String, String>) {
    let path = env.entry("PATH".to_owned()).or_default();
    let bin = venv.join("bin").display().to_string();
    *path = if path.is_empty() {
        bin
    } else {
        format!("{bin}:{path}")
    };
    env.insert(NAME.to_owned(), venv.display().to_string());
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn any() -> Launcher {
        Launcher {
            any: true,
            ..Launcher::default()
        }
    }

    #[test]
    fn one_is_used_where_it_is_whole_and_nobody_decided_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let venv = folder.path().join(FOLDER);
        let found = |launcher: &Launcher, set: &[&str]| {
            let env = set.iter().map(|name| ((*name).to_owned(), String::new()));
            find(launcher, &env.collect(), folder.path())
        };
        assert_eq!(found(&any(), &[]), None);
        fs::create_dir_all(venv.join("bin")).unwrap();
        assert_eq!(found(&any(), &[]), None);
        fs::write(venv.join("pyvenv.cfg"), "").unwrap();
        assert_eq!(found(&any(), &["HOME"]), Some(venv));
        assert_eq!(found(&any(), &["PATH"]), None);
        assert_eq!(found(&any(), &["VIRTUAL_ENV"]), None);
        let fixed = Launcher {
            executable: Some("/usr/bin/python3".into()),
            ..Launcher::default()
        };
        assert_eq!(found(&fixed, &[]), None);
    }

    #[test]
    fn its_programs_come_first() {
        let mut env = BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]);
        activate(Path::new("/w/.venv"), &mut env);
        assert_eq!(env["PATH"], "/w/.venv/bin:/bin");
        assert_eq!(env["VIRTUAL_ENV"], "/w/.venv");
    }
}
