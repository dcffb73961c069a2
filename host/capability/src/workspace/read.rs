//! Reading a file of a workspace.
//!
//! What is there is looked at before it is opened, through a handle that only names it, so that a fifo
//! is not waited on and no device is touched. What is sent is what is there: a file that grows is read
//! up to the size it had when it was opened, one that shrinks as far as it goes.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use fleet_model::Error;
use fleet_model::file::{FileEntry, FileKind};
use rustix::fs::{AtFlags, OFlags};
use sha2::{Digest, Sha256};

use super::entry::{entry, kind};
use super::refusal::{beyond, folder, not_a_file, refused};
use super::tree::{Tree, look, open_named};

/// Whether what a link leads to is meant, or the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// What it leads to.
    Follow,
    /// The link.
    Keep,
}

/// A file that is being read. Every call blocks on the disk.
#[derive(Debug)]
pub struct Reading {
    file: File,
    path: String,
    entry: FileEntry,
    at: u64,
    end: u64,
}

impl Tree {
    /// What is at this path. Blocks on the disk.
    ///
    /// # Errors
    /// `outside-workspace`, `bad-path`, `no-such-file`; where the disk refuses.
    pub fn stat(&self, path: &str, links: Links) -> Result<FileEntry, Error> {
        if links == Links::Follow || path.is_empty() {
            let named = self.find(path)?;
            let stat = look(named.as_fd(), "", AtFlags::EMPTY_PATH);
            let stat = stat.map_err(|error| refused(path, &error))?;
            return Ok(entry(None, name(path).as_bytes(), &stat));
        }
        let place = self.place(path)?;
        let stat = place.stat().map_err(|error| refused(path, &error))?;
        Ok(entry(Some(place.folder()), place.name.as_bytes(), &stat))
    }

    /// Opens a file from a place in it on, to be read as far as `length`, or to its end. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// `outside-workspace`, `bad-path`, `no-such-file`, `is-a-folder`, `not-a-file`, `beyond-end`; where
    /// the disk refuses.
    pub fn read(&self, path: &str, offset: u64, length: Option<u64>) -> Result<Reading, Error> {
        let named = self.find(path)?;
        let stat = look(named.as_fd(), "", AtFlags::EMPTY_PATH).map_err(|e| refused(path, &e))?;
        match kind(&stat) {
            FileKind::File => {}
            FileKind::Folder => return Err(folder(path)),
            FileKind::Link | FileKind::Other => return Err(not_a_file(path)),
        }
        let file = open_named(&named, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
            .map_err(|error| refused(path, &error))?;
        let mut reading = Reading {
            path: path.to_owned(),
            entry: entry(None, name(path).as_bytes(), &stat),
            at: offset,
            end: 0,
            file,
        };
        reading.entry = reading.now()?;
        let size = reading.entry.size;
        if offset > size {
            return Err(beyond(path, offset, size));
        }
        reading.end = length.map_or(size, |length| size.min(offset.saturating_add(length)));
        Ok(reading)
    }
}

impl Reading {
    /// What it was when it was opened.
    #[must_use]
    pub fn entry(&self) -> &FileEntry {
        &self.entry
    }

    /// The next bytes, at most so many; none at the end.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn next(&mut self, most: usize) -> Result<Bytes, Error> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let mut buffer = vec![0; left.min(most)];
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, self.at) {
                // It is shorter now.
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    self.at += count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(refused(&self.path, &error)),
            }
        }
        buffer.truncate(filled);
        Ok(buffer.into())
    }

    /// What it is now.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn now(&self) -> Result<FileEntry, Error> {
        let stat = look(self.file.as_fd(), "", AtFlags::EMPTY_PATH);
        let stat = stat.map_err(|error| refused(&self.path, &error))?;
        Ok(entry(None, name(&self.path).as_bytes(), &stat))
    }
}

/// A SHA-256 on its way.
#[derive(Debug, Clone, Default)]
pub struct Hash {
    sha: Sha256,
    bytes: u64,
}

impl Hash {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// How many bytes it has taken.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// In hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        hex(&self.sha.finalize())
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}
