//! `plugin new` and `plugin sdk`: files written into a folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fleet_model::{Error, Name};

use crate::language::Language;
use crate::layout;
use crate::not_done;
use crate::project::Project;

/// Writes the project `PARENT/NAME`, which builds alone.
///
/// # Errors
/// `invalid` (`name-taken`, `bad-name`), `conflict` (`folder-exists`), `unavailable` (`no-access`).
pub fn create(parent: &Path, name: &Name, language: Language) -> Result<PathBuf, Error> {
    check_name(name)?;
    let folder = parent.join(name.as_str());
    if folder.exists() {
        let message = format!(
            "{} is there already: choose another name, or remove it",
            folder.display()
        );
        return Err(Error::new(
            fleet_model::ErrorKind::Conflict,
            "folder-exists",
            message,
        ));
    }
    // All or nothing: whoever is interrupted finds no half project.
    let aside = aside(parent, ".fleet-new-")?;
    let whole = aside.path().join(name.as_str());
    for (path, text) in layout::template(language, name)
        .into_iter()
        .chain(layout::sdk(language))
    {
        write(&whole, &path, &text)?;
    }
    fs::rename(&whole, &folder).map_err(|error| not_done("make", &folder, &error))?;
    Ok(folder)
}

/// Names that are somebody's: plugins that come with the host, and the SDK's own crate.
const TAKEN: [&str; 4] = ["docker", "fleet-sdk", "mock", "native"];

fn check_name(name: &Name) -> Result<(), Error> {
    if TAKEN.contains(&name.as_str()) {
        let message = format!("`{name}` is the name of a part of fleet-host: choose another");
        return Err(Error::invalid("name-taken", message));
    }
    if name
        .as_str()
        .starts_with(|first: char| first.is_ascii_digit())
    {
        let message = format!(
            "`{name}` begins with a digit, which the name of a package must not: begin with a letter"
        );
        return Err(Error::invalid("bad-name", message));
    }
    Ok(())
}

/// Writes the SDK and the contract of this host into a project, in the place of those it has. Each folder is
/// the old one or the new one, whole.
///
/// # Errors
/// `unavailable` (`no-access`).
pub fn renew(project: &Project) -> Result<(), Error> {
    let aside = aside(&project.root, ".fleet-sdk-")?;
    let (new, old) = (aside.path().join("new"), aside.path().join("old"));
    for (path, text) in layout::sdk(project.language) {
        write(&new, &path, &text)?;
    }
    for own in layout::owned(project.language) {
        exchange(&new.join(&own), &project.root.join(&own), &old.join(&own))?;
    }
    Ok(())
}

/// Puts `new` in the place of `folder`, which goes to `old`; where that fails, it comes back.
fn exchange(new: &Path, folder: &Path, old: &Path) -> Result<(), Error> {
    for place in [folder, old] {
        let parent = place.parent().unwrap_or(place);
        fs::create_dir_all(parent).map_err(|error| not_done("make", parent, &error))?;
    }
    let was = match fs::rename(folder, old) {
        Ok(()) => Some(old),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(not_done("move", folder, &error)),
    };
    fs::rename(new, folder).map_err(|error| {
        // Nothing more can be done than to try.
        let _ = was.map(|old| fs::rename(old, folder));
        not_done("make", folder, &error)
    })
}

/// A folder beside what is to be written, to write it in. It goes with the value.
fn aside(parent: &Path, prefix: &str) -> Result<tempfile::TempDir, Error> {
    let made = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
    made.map_err(|error| not_done("write into", parent, &error))
}

fn write(root: &Path, path: &str, text: &str) -> Result<(), Error> {
    let file = root.join(path);
    let folder = file.parent().unwrap_or(root);
    fs::create_dir_all(folder).map_err(|error| not_done("make", folder, &error))?;
    fs::write(&file, text).map_err(|error| not_done("write", &file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_somebodys_or_no_packages_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, code) in [
            ("native", "name-taken"),
            ("fleet-sdk", "name-taken"),
            ("1harbour", "bad-name"),
        ] {
            let name: Name = name.parse().unwrap();
            let error = create(folder.path(), &name, Language::Rust).unwrap_err();
            assert_eq!(error.code, code);
            assert!(!folder.path().join(name.as_str()).exists());
        }
    }

    #[test]
    fn a_project_is_written_once_and_its_sdk_as_often_as_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let name: Name = "harbour".parse().unwrap();
        for language in Language::ALL {
            let parent = folder.path().join(language.as_str());
            fs::create_dir(&parent).unwrap();
            let root = create(&parent, &name, language).unwrap();
            assert_eq!(
                create(&parent, &name, language).unwrap_err().code,
                "folder-exists"
            );
            assert_eq!(fs::read_dir(&parent).unwrap().count(), 1);
            let project = Project::open(&root).unwrap();
            assert_eq!(project.language, language);

            let (own, _) = &layout::sdk(language)[0];
            fs::write(root.join(own), "changed").unwrap();
            fs::write(root.join("sdk/old"), "of an older host").unwrap();
            fs::write(root.join("README.md"), "mine").unwrap();
            renew(&project).unwrap();
            assert_ne!(fs::read_to_string(root.join(own)).unwrap(), "changed");
            assert!(!root.join("sdk/old").exists());
            assert_eq!(fs::read_to_string(root.join("README.md")).unwrap(), "mine");
            let entries = || fs::read_dir(&root).unwrap().map(|entry| entry.unwrap());
            assert!(
                entries().all(|entry| !entry.file_name().to_string_lossy().starts_with(".fleet")),
                "something stays behind"
            );
        }
    }

    #[test]
    fn the_authors_own_packages_stay_and_so_does_an_sdk_that_cannot_be_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let name: Name = "harbour".parse().unwrap();
        let root = create(folder.path(), &name, Language::C).unwrap();
        let project = Project::open(&root).unwrap();
        fs::create_dir(root.join("wit/deps/tide")).unwrap();
        fs::write(root.join("wit/deps/tide/tide.wit"), "package a:tide;").unwrap();
        fs::write(root.join("wit/deps/host/old.wit"), "of an older host").unwrap();
        renew(&project).unwrap();
        assert!(root.join("wit/deps/tide/tide.wit").exists());
        assert!(!root.join("wit/deps/host/old.wit").exists());
        assert!(root.join("wit/deps/host/host.wit").exists());

        let (missing, sdk) = (root.join("missing"), root.join("sdk"));
        let error = exchange(&missing, &sdk, &root.join("old/sdk")).unwrap_err();
        assert_eq!(error.code, "no-access");
        assert!(sdk.join("fleet.h").exists(), "{error}");
    }
}
