//! What a build leaves: `dist/NAME.wasm`, `dist/NAME.toml`, and `dist/NAME.policy.toml` where there is a
//! policy. Each file appears whole, so a host may watch the folder.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fleet_model::Error;
use fleet_plugin::check_surface;
use serde::Serialize;

use crate::not_done;
use crate::project::{DIST, POLICY, Project};

/// A component that was built, and what lies beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Built {
    /// The plugin's name.
    pub name: String,
    /// Its version, as the manifest says it.
    pub version: String,
    /// The component.
    pub component: PathBuf,
    /// How large it is.
    pub bytes: u64,
    /// Its manifest.
    pub manifest: PathBuf,
    /// The policy of its endpoints, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PathBuf>,
}

/// Puts a component and what belongs to it into the project's `dist`.
///
/// # Errors
/// `invalid` (`bad-component`) for what no host would take, `unavailable` (`no-access`).
pub(crate) fn deliver(project: &Project, component: &[u8]) -> Result<Built, Error> {
    check_surface(component).map_err(|why| {
        let name = &project.manifest.name;
        Error::invalid("bad-component", format!("what was built of `{name}` {why}"))
    })?;
    let folder = project.root.join(DIST);
    fs::create_dir_all(&folder).map_err(|error| not_done("make", &folder, &error))?;
    let policy = policy(project)?;
    let manifest = project.dist(".toml");
    write_whole(&manifest, project.manifest_text.as_bytes())?;
    let place = project.component();
    write_whole(&place, component)?;
    Ok(Built {
        name: project.manifest.name.to_string(),
        version: project.manifest.version.clone(),
        component: place,
        bytes: component.len() as u64,
        manifest,
        policy,
    })
}

/// Puts the policy beside it, where the project has one; one of an earlier build goes where it has none.
fn policy(project: &Project) -> Result<Option<PathBuf>, Error> {
    let (source, place) = (project.root.join(POLICY), project.dist(".policy.toml"));
    match fs::read(&source) {
        Ok(text) => {
            write_whole(&place, &text)?;
            Ok(Some(place))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::remove_file(&place) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(not_done("remove", &place, &error))
            }
            _ => Ok(None),
        },
        Err(error) => Err(not_done("read", &source, &error)),
    }
}

/// Writes a file so that nobody sees half of it.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let failed = |error: std::io::Error| not_done("write", path, &error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    // Others may read it, as any file that somebody makes.
    let mode = fs::Permissions::from_mode(0o644);
    file.as_file().set_permissions(mode).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::new::create;

    #[test]
    fn the_policy_beside_a_component_is_the_projects_own() {
        let folder = tempfile::tempdir().unwrap();
        let name = "harbour".parse().unwrap();
        let root = create(folder.path(), &name, Language::C).unwrap();
        let project = Project::open(&root).unwrap();
        let (source, place) = (project.root.join(POLICY), project.dist(".policy.toml"));
        fs::create_dir(project.root.join(DIST)).unwrap();
        assert_eq!(policy(&project).unwrap(), None);

        fs::write(&source, "1").unwrap();
        assert_eq!(policy(&project).unwrap().as_ref(), Some(&place));
        assert_eq!(fs::read_to_string(&place).unwrap(), "1");
        fs::remove_file(&source).unwrap();
        assert_eq!(policy(&project).unwrap(), None);
        assert!(!place.exists(), "of an earlier build");

        // What cannot be read is told: without its policy it would be another plugin.
        fs::create_dir(&source).unwrap();
        let error = policy(&project).unwrap_err();
        assert_eq!(error.code, "no-access");
        assert!(error.message.contains("policy.toml"), "{error}");
    }
}
