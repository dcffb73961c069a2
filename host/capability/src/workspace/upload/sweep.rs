//! Uploads that nobody went on with.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet_model::Error;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::super::refusal::refused;
use super::super::tree::{FOLDER, Tree};
use super::staging::{PART, UPLOADS, is_locked, stem};

impl Tree {
    /// Removes all uploads but those that are being sent now and the one with this key, so that another
    /// one has room; answers how many. Who goes on with one of them begins it anew. Blocks on the disk.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn remove_other_uploads(&self, key: &str) -> Result<usize, Error> {
        self.remove_uploads(Some(&stem(key)), |_| true)
    }

    /// Removes uploads of which nothing has arrived since this Unix time, but for those that are being
    /// sent now, and answers how many. Blocks on the disk.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn remove_uploads_before(&self, before_ms: u64) -> Result<usize, Error> {
        let before = UNIX_EPOCH + Duration::from_millis(before_ms);
        self.remove_uploads(None, |newest| newest < Some(before))
    }

    fn remove_uploads(
        &self,
        spared: Option<&str>,
        goes: impl Fn(Option<SystemTime>) -> bool,
    ) -> Result<usize, Error> {
        let folder = match openat(self.folder(), UPLOADS, FOLDER, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(0),
            Err(error) => return Err(refused(UPLOADS, &error.into())),
        };
        sweep(&folder, spared, goes).map_err(|error| refused(UPLOADS, &error))
    }
}

/// The files of one upload.
#[derive(Default)]
struct Group {
    names: Vec<String>,
    newest: Option<SystemTime>,
    is_being_sent: bool,
}

fn sweep(
    folder: &OwnedFd,
    spared: Option<&str>,
    goes: impl Fn(Option<SystemTime>) -> bool,
) -> std::io::Result<usize> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
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
        group.is_being_sent |= kind == PART && !is_locked(&file)?;
        group.names.push(name.to_owned());
    }
    groups.retain(|stem, group| {
        !group.is_being_sent && Some(stem.as_str()) != spared && goes(group.newest)
    });
    for name in groups.values().flat_map(|group| &group.names) {
        match unlinkat(folder.as_fd(), name.as_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(groups.len())
}
