//! The records on the disk: one file for each plugin, and one with its last reports.
//!
//! A file is written under another name, synced and renamed, and the folder is synced: after a crash
//! there is what was before or what is now, and when a write has returned it is there for ever.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use fleet_model::Name;
use fleet_model::swap::SwapReport;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::Record;
use crate::refused::{Refused, blocking};

/// How many reports are kept of each plugin.
pub(crate) const MOST_REPORTS: usize = 64;

const RECORD: &str = "json";
const HISTORY: &str = "history.json";

/// The folder with the records.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// Makes the folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, String> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        clear(&folder).map_err(|error| format!("cannot clear {}: {error}", folder.display()))?;
        Ok(Self { folder })
    }

    /// All records, each with its reports, the latest last.
    ///
    /// # Errors
    /// When one is there and cannot be read: what serves would be a guess.
    pub(crate) fn read(&self) -> Result<Vec<(Record, Vec<SwapReport>)>, String> {
        let failed = |error: io::Error| format!("cannot read {}: {error}", self.folder.display());
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str());
            let is_record = path.extension().is_some_and(|end| end == RECORD);
            // A name has no dots, so the stem of a history is none.
            let Some(plugin) = name
                .filter(|_| is_record)
                .and_then(|name| name.parse::<Name>().ok())
            else {
                continue;
            };
            let Some(record) = read::<Record>(&path)? else {
                continue;
            };
            // Reports are for people: without them all works the same.
            let history = read(&self.file(&plugin, HISTORY)).unwrap_or_else(|error| {
                tracing::warn!(%plugin, "the history of swaps is lost: {error}");
                None
            });
            records.push((record, history.unwrap_or_default()));
        }
        records.sort_by(|(a, _), (b, _)| a.plugin.cmp(&b.plugin));
        Ok(records)
    }

    /// Writes a record down. When this returns well it is durable.
    ///
    /// # Errors
    /// `disk-full`, `storage`.
    pub(crate) async fn write(&self, record: Record) -> Result<(), Refused> {
        let path = self.file(&record.plugin, RECORD);
        let folder = self.folder.clone();
        blocking(move || replace(&folder, &path, &record)).await
    }

    /// Writes the reports of a plugin down.
    ///
    /// # Errors
    /// `disk-full`, `storage`.
    pub(crate) async fn write_history(
        &self,
        plugin: &Name,
        reports: Vec<SwapReport>,
    ) -> Result<(), Refused> {
        let path = self.file(plugin, HISTORY);
        let folder = self.folder.clone();
        blocking(move || replace(&folder, &path, &reports)).await
    }

    /// Where the record of a plugin is.
    pub(crate) fn path(&self, plugin: &Name) -> PathBuf {
        self.file(plugin, RECORD)
    }

    fn file(&self, plugin: &Name, extension: &str) -> PathBuf {
        self.folder.join(format!("{plugin}.{extension}"))
    }
}

/// Removes what a crash left half written.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".tmp") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        format!(
            "{} is damaged ({error}): put it back from a backup, or remove it, and the plugin is loaded from its file as \
             if for the first time",
            path.display()
        )
    })
}

fn replace(folder: &Path, path: &Path, value: &impl Serialize) -> Result<(), Refused> {
    let failed = |error: io::Error| Refused::storage("write", path, &error);
    let text = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        // Nobody can tell any more which of the two is on the disk. The next start reads what is so.
        tracing::error!(
            "the folder {} cannot be synced, so it is not known whether {} is written: the host ends: {error}",
            folder.display(),
            path.display()
        );
        std::process::abort();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::generation::GenerationId;
    use crate::swap::record::Stamp;

    fn record(name: &str) -> Record {
        let digest = Digest::of(name.as_bytes());
        let stamp = Stamp {
            id: GenerationId {
                component: digest,
                manifest: digest,
            },
            version: "1".into(),
            writes: 1,
            reads: vec![1],
        };
        Record::installed(&name.parse().unwrap(), &format!("{name}.wasm"), stamp)
    }

    #[tokio::test]
    async fn records_are_read_back_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().join("swap")).unwrap();
        assert!(journal.read().unwrap().is_empty());
        for name in ["mock", "docker"] {
            journal.write(record(name)).await.unwrap();
        }
        let mock = "mock".parse().unwrap();
        journal.write_history(&mock, Vec::new()).await.unwrap();
        // What a crash left is nobody's.
        fs::write(folder.path().join("swap/.tmp123"), "{").unwrap();
        let read: Vec<Record> = journal
            .read()
            .unwrap()
            .into_iter()
            .map(|row| row.0)
            .collect();
        assert_eq!(read, [record("docker"), record("mock")]);
        // Without its history a plugin is the same.
        fs::write(folder.path().join("swap/mock.history.json"), "{").unwrap();
        assert_eq!(journal.read().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_damaged_record_is_no_guess() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().to_owned()).unwrap();
        journal.write(record("mock")).await.unwrap();
        fs::write(folder.path().join("mock.json"), "{\"plugin\":").unwrap();
        let error = journal.read().unwrap_err();
        assert!(
            error.contains("mock.json") && error.contains("damaged"),
            "{error}"
        );
    }
}
