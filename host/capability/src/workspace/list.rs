//! What is in a folder of a workspace, page by page.
//!
//! A folder may have millions of entries: each page reads all names and keeps the few that are on it.

use std::collections::BinaryHeap;
use std::os::fd::AsFd;

use fleet_model::Error;
use fleet_model::file::{FileEntry, FileKind};
use rustix::fs::{AtFlags, Dir, OFlags};

use super::entry::{entry, kind, readable};
use super::refusal::{not_a_folder, refused};
use super::tree::{Tree, look, open_named};

/// Names and targets on one page at most, in bytes: however JSON escapes them, they fit into a frame.
const PAGE_BYTES: usize = 256 * 1024;

/// A part of a folder's entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// In order of their names.
    pub entries: Vec<FileEntry>,
    /// The last name that was looked at, if there are more.
    pub next: Option<String>,
}

impl Tree {
    /// At most `limit` entries of a folder after a name, in order of their names; links are not
    /// followed, but for the folder itself. Blocks on the disk.
    ///
    /// # Errors
    /// `outside-workspace`, `no-such-file`, `not-a-folder`; where the disk refuses.
    pub fn list(&self, path: &str, after: Option<&str>, limit: usize) -> Result<Listing, Error> {
        let named = self.find(path)?;
        let stat = look(named.as_fd(), "", AtFlags::EMPTY_PATH).map_err(|e| refused(path, &e))?;
        if kind(&stat) != FileKind::Folder {
            return Err(not_a_folder(path));
        }
        let folder = open_named(&named, OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(|error| refused(path, &error))?;
        let mut names = Names::new(limit.max(1));
        let each = Dir::read_from(&folder).map_err(|error| refused(path, &error.into()))?;
        for found in each {
            let found = found.map_err(|error| refused(path, &error.into()))?;
            names.offer(found.file_name().to_bytes(), after);
        }
        let (names, mut more) = names.into_page();
        let (mut entries, mut bytes, mut last) = (Vec::new(), 0, None);
        for (shown, name) in names {
            if bytes > PAGE_BYTES {
                more = true;
                break;
            }
            // One that is gone by now is not told.
            if let Ok(stat) = look(folder.as_fd(), name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
                let entry = entry(Some(folder.as_fd()), &name, &stat);
                bytes += entry.name.len() + entry.target.as_ref().map_or(0, String::len);
                entries.push(entry);
            }
            last = Some(shown);
        }
        Ok(Listing {
            entries,
            next: last.filter(|_| more),
        })
    }
}

/// The first few names.
struct Names {
    /// As they are shown, and as they are. One more than asked for, to know that there are more.
    kept: BinaryHeap<(String, Vec<u8>)>,
    limit: usize,
}

impl Names {
    fn new(limit: usize) -> Self {
        Self {
            kept: BinaryHeap::new(),
            limit,
        }
    }

    fn offer(&mut self, name: &[u8], after: Option<&str>) {
        let shown = readable(name);
        if matches!(name, b"." | b"..") || after.is_some_and(|after| shown.as_str() <= after) {
            return;
        }
        self.kept.push((shown, name.to_vec()));
        if self.kept.len() > self.limit + 1 {
            self.kept.pop();
        }
    }

    /// In order, and whether there are more.
    fn into_page(self) -> (Vec<(String, Vec<u8>)>, bool) {
        let mut page = self.kept.into_sorted_vec();
        let more = page.len() > self.limit;
        page.truncate(self.limit);
        (page, more)
    }
}
