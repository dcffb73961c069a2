//! Uploads that nobody went on with.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet_model::Error;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::super::refusal::refused;
use super::super::tree::{FOLDER, Tree};
use super::super::usage::BLOCK_BYTES;
use super::staging::{PART, UPLOADS, is_locked, stem};

impl Tree {
    /// Removes all uploads but those that are being sent now and the one with this key, so that another
    /// one has room; answers how many. None goes where all of them take less than is `lacking`, in bytes:
    /// there would be no room all the same. Who goes on with one of them begins it anew. Blocks on the disk.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn remove_other_uploads(&self, key: &str, lacking: u64) -> Result<usize, Error> {
        let spared = stem(key);
        self.remove_uploads(|uploads| {
            uploads.retain(|stem, _| *stem != spared);
            let bytes = uploads.values().map(|upload| upload.bytes);
            if bytes.fold(0, u64::saturating_add) < lacking {
                uploads.clear();
            }
        })
    }

    /// Removes uploads of which nothing has arrived since this Unix time, but for those that are being
    /// sent now, and answers how many. Blocks on the disk.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn remove_uploads_before(&self, before_ms: u64) -> Result<usize, Error> {
        let before = UNIX_EPOCH + Duration::from_millis(before_ms);
        self.remove_uploads(|uploads| uploads.retain(|_, upload| upload.newest < Some(before)))
    }

    /// Removes those of the uploads that are not being sent now which `choose` leaves.
    fn remove_uploads(&self, choose: impl FnOnce(&mut Uploads)) -> Result<usize, Error> {
        let folder = match openat(self.folder(), UPLOADS, FOLDER, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(0),
            Err(error) => return Err(refused(UPLOADS, &error.into())),
        };
        sweep(&folder, choose).map_err(|error| refused(UPLOADS, &error))
    }
}

/// The files of one upload.
#[derive(Default)]
struct Group {
    names: Vec<String>,
    newest: Option<SystemTime>,
    /// What they take on the disk.
    bytes: u64,
    is_being_sent: bool,
}

/// Uploads by what their files' names begin with.
type Uploads = BTreeMap<String, Group>;

fn sweep(folder: &OwnedFd, choose: impl FnOnce(&mut Uploads)) -> std::io::Result<usize> {
    let mut groups = Uploads::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = openat(folder, name, flags, Mode::empty()) else {
            continue;
        };
        let file = File::from(file);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            continue;
        }
        let (stem, kind) = name.split_once('.').unwrap_or((name, ""));
        let group = groups.entry(stem.to_owned()).or_default();
        group.newest = group.newest.max(metadata.modified().ok());
        let bytes = metadata.blocks().saturating_mul(BLOCK_BYTES);
        group.bytes = group.bytes.saturating_add(bytes);
        group.is_being_sent |= kind == PART && !is_locked(&file)?;
        group.names.push(name.to_owned());
    }
    groups.retain(|_, group| !group.is_being_sent);
    choose(&mut groups);
    for name in groups.values().flat_map(|group| &group.names) {
        match unlinkat(folder.as_fd(), name.as_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(groups.len())
}
