//! What lies in the plugin folder, before anything of it is read.
//!
//! `NAME.wasm` is a plugin, `NAME.toml` beside it its manifest. A file whose manifest cannot be
//! read still stands in the list, under its file's name, with the reason.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub(crate) use fleet_model::swap::MAX_COMPONENT_BYTES;
use fleet_model::swap::MAX_MANIFEST_BYTES;
use fleet_model::{Error, Name};
use rustix::fs::OFlags;

use crate::manifest::{Manifest, ManifestText};
use crate::refused::{Code, Refused};

/// One `NAME.wasm`.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// Its file name.
    pub(crate) file: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The folder nothing may link out of.
    pub(crate) folder: PathBuf,
    /// Its manifest, or why there is none.
    pub(crate) manifest: Result<ManifestText, Refused>,
}

impl Candidate {
    /// The file at `path`, which need not be a component.
    pub(crate) fn at(folder: &Path, path: &Path) -> Self {
        let file = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned();
        let manifest = read_manifest(folder, path);
        Self {
            file,
            path: path.to_owned(),
            folder: folder.to_owned(),
            manifest,
        }
    }

    /// The manifest's name, else the file's stem.
    pub(crate) fn name(&self) -> String {
        match self.manifest_name() {
            Some(name) => name.to_string(),
            None => Path::new(&self.file)
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// The manifest's name, where there is one that can be read.
    pub(crate) fn manifest_name(&self) -> Option<&Name> {
        let manifest = self.manifest.as_ref().ok()?;
        Some(&manifest.manifest.name)
    }
}

/// All plugin files of a folder, in the order of their names.
///
/// # Errors
/// `invalid` (`no-plugin-folder`) when there is no such folder.
pub(crate) fn scan(folder: &Path) -> Result<Vec<Candidate>, Error> {
    let failed = |error: std::io::Error| {
        let message = format!(
            "cannot read the plugin folder {}: {error}. Name the folder that holds NAME.wasm and NAME.toml",
            folder.display()
        );
        Error::invalid("no-plugin-folder", message)
    };
    let folder = folder.canonicalize().map_err(failed)?;
    let mut candidates = Vec::new();
    let mut manifests = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if hidden => {}
            Some("wasm") => candidates.push(Candidate::at(&folder, &path)),
            Some("toml") if is_policy(&path) => {}
            Some("toml") => manifests.push(path),
            _ => {}
        }
    }
    for manifest in manifests {
        if !candidates
            .iter()
            .any(|candidate| candidate.path == manifest.with_extension("wasm"))
        {
            tracing::warn!(
                "{} is ignored: there is no component of that name beside it",
                manifest.display()
            );
        }
    }
    candidates.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(candidates)
}

/// Whether it is the policy of an endpoint, which a grant names: `NAME.policy.toml`.
fn is_policy(path: &Path) -> bool {
    path.with_extension("").extension() == Some("policy".as_ref())
}

/// The files whose name another file has as well, each with the reason that names all of them.
pub(crate) fn duplicates(candidates: &[Candidate]) -> BTreeMap<String, String> {
    let mut files: BTreeMap<&Name, Vec<&str>> = BTreeMap::new();
    for candidate in candidates {
        if let Some(name) = candidate.manifest_name() {
            files.entry(name).or_default().push(&candidate.file);
        }
    }
    let mut reasons = BTreeMap::new();
    for (name, files) in files.into_iter().filter(|(_, files)| files.len() > 1) {
        let reason = twins(name, &files);
        reasons.extend(
            files
                .into_iter()
                .map(|file| (file.to_owned(), reason.clone())),
        );
    }
    reasons
}

/// Why files of one name are refused.
pub(crate) fn twins(name: &Name, files: &[&str]) -> String {
    format!(
        "{} are all named `{name}`: keep one of them",
        files.join(" and ")
    )
}

/// The content of a regular file in `folder`, if it is not larger than `most` bytes.
///
/// # Errors
/// The reason, for people.
pub(crate) fn read(folder: &Path, path: &Path, most: u64) -> Result<Vec<u8>, Refused> {
    let failed =
        |error: std::io::Error| Code::Unreadable.because(format!("cannot be read: {error}"));
    let target = path.canonicalize().map_err(failed)?;
    if !target.starts_with(folder) {
        return Err(Code::LinkOutOfFolder.because(format!(
            "is a link to {}, outside of the plugin folder",
            target.display()
        )));
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(&target)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check(&metadata, most)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    let read = File::take(file, most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if read as u64 > most {
        Err(too_large(most))
    } else {
        Ok(bytes)
    }
}

fn check(metadata: &Metadata, most: u64) -> Result<(), Refused> {
    if !metadata.is_file() {
        Err(Code::Unreadable.because("is not a regular file"))
    } else if metadata.len() > most {
        Err(too_large(most))
    } else {
        Ok(())
    }
}

/// It is larger than what is read.
pub(crate) fn too_large(most: u64) -> Refused {
    let remedy = if most == MAX_COMPONENT_BYTES {
        "build it optimised, and strip what is for a debugger"
    } else {
        "make it smaller"
    };
    Code::TooLarge.because(format!(
        "is larger than {} KiB, the most that is read: {remedy}",
        most >> 10
    ))
}

fn read_manifest(folder: &Path, component: &Path) -> Result<ManifestText, Refused> {
    let bad = |message: String| Code::BadManifest.because(message);
    let path = component.with_extension("toml");
    let file = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned();
    if !path.exists() {
        let stem = component
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        return Err(bad(format!(
            "has no manifest: write {file} beside it, with {}",
            Manifest::example(&stem)
        )));
    }
    let bytes = read(folder, &path, MAX_MANIFEST_BYTES)
        .map_err(|reason| bad(format!("its manifest {file} {reason}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| bad(format!("its manifest {file} is not UTF-8 text")))?;
    ManifestText::parse(&file, text)
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
