//! A folder that holds a plugin's sources.

use std::fs;
use std::path::{Path, PathBuf};

use fleet_model::Error;
use fleet_plugin::Manifest;

use crate::language::Language;
use crate::not_done;

/// The manifest of a project. The build writes it beside the component, under the plugin's name.
pub(crate) const MANIFEST: &str = "plugin.toml";
/// The policy of its endpoints, where it has one.
pub(crate) const POLICY: &str = "policy.toml";
/// What it needs, for an operator to copy.
const GRANTS: &str = "grants.toml";
/// Where the build leaves what it made.
pub(crate) const DIST: &str = "dist";

/// A project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its folder, absolute.
    pub root: PathBuf,
    /// What it is written in.
    pub language: Language,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The same as it stands.
    pub(crate) manifest_text: String,
}

impl Project {
    /// Looks at a folder.
    ///
    /// # Errors
    /// `not-found` (`no-project`), `invalid` (`no-manifest`, `bad-manifest`), `unavailable` (`no-access`).
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let root = folder
            .canonicalize()
            .map_err(|error| not_done("look into", folder, &error))?;
        let language = Language::of(&root).ok_or_else(|| no_project(folder))?;
        let path = root.join(MANIFEST);
        let manifest_text = fs::read_to_string(&path).map_err(|error| {
            let message = format!(
                "the manifest {} cannot be read: {error}; it needs at least name, kind = \"backend\" and version",
                path.display()
            );
            Error::invalid("no-manifest", message)
        })?;
        let manifest = Manifest::parse(MANIFEST, &manifest_text)
            .map_err(|why| Error::invalid("bad-manifest", why))?;
        Ok(Self {
            root,
            language,
            manifest,
            manifest_text,
        })
    }

    /// The file with the grants that it needs, if it has one.
    #[must_use]
    pub fn grants(&self) -> Option<PathBuf> {
        Some(self.root.join(GRANTS)).filter(|file| file.is_file())
    }

    /// Where the build leaves the component.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        self.dist(".wasm")
    }

    /// A file beside it.
    pub(crate) fn dist(&self, ending: &str) -> PathBuf {
        let name = format!("{}{ending}", self.manifest.name);
        self.root.join(DIST).join(name)
    }
}

fn no_project(folder: &Path) -> Error {
    let files = Language::ALL.map(|language| format!("{} ({language})", language.project_file()));
    Error::not_found(
        "no-project",
        format!(
            "there is no plugin project in {}: it has none of {}\n\
             fleet-host plugin new NAME --lang LANGUAGE   # makes one",
            folder.display(),
            files.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_a_language_and_a_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let error = Project::open(folder.path()).unwrap_err();
        assert_eq!(error.code, "no-project");
        assert!(error.message.contains("pyproject.toml (python)"), "{error}");

        fs::write(at("package.json"), "{}").unwrap();
        assert_eq!(
            Project::open(folder.path()).unwrap_err().code,
            "no-manifest"
        );
        fs::write(at(MANIFEST), "name = \"a\"\nkind = \"item\"\n").unwrap();
        let error = Project::open(folder.path()).unwrap_err();
        assert_eq!(error.code, "bad-manifest");
        assert!(error.message.starts_with("plugin.toml:2:"), "{error}");

        fs::write(
            at(MANIFEST),
            "name = \"a\"\nkind = \"backend\"\nversion = \"1\"\n",
        )
        .unwrap();
        let project = Project::open(folder.path()).unwrap();
        assert_eq!(project.language, Language::JavaScript);
        assert!(project.component().ends_with("dist/a.wasm"));
        assert_eq!(project.grants(), None);
        fs::write(at(GRANTS), "").unwrap();
        assert!(project.grants().is_some());
    }
}
