//! A file on its way into a workspace.
//!
//! Its bytes go to a file beside the workspace, `WORKLOAD/uploads/DIGEST-OF-KEY.part`, so that a program
//! never sees half of it and no name in the workspace is opened for writing; when all have arrived and
//! are what they should be, it is renamed into place at once. What arrived stays for whoever asks again
//! with the same key, also after a crash of the host: beside it is written down what it is for, as long
//! as there is less than all.
//!
//! After a crash of the machine a file may have its length and not its bytes. So what arrived in another
//! boot counts only where the client told the SHA-256, which shows it.

mod note;
mod staging;
pub(super) mod sweep;

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};

use fleet_model::file::{FileKind, MODE_BITS, Upload};
use fleet_model::{Error, ErrorKind};
use rustix::fs::{fstatvfs, renameat};
use rustix::io::Errno;

use super::entry::kind;
use super::read::Hash;
use super::refusal::{folder, no_room, refused, shown};
use super::tree::{Tree, sync};
use note::Note;
use staging::Staging;

/// The permissions of a file that asks for none.
const USUAL_MODE: u32 = 0o644;

/// The permissions of what is not in place yet.
const STAGED_MODE: u32 = 0o600;

/// Bytes that are read at once to be hashed again.
const AGAIN_BYTES: usize = 1024 * 1024;

/// How much a file system keeps for others than uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserve {
    /// In bytes.
    pub bytes: u64,
}

/// A file on its way in. Dropped, it leaves what has arrived to be gone on with, if it has a key. Every
/// call blocks on the disk.
#[derive(Debug)]
pub struct Incoming {
    tree: Tree,
    upload: Upload,
    reserve: Reserve,
    staging: Staging,
    /// Open once there is a byte.
    part: Option<File>,
    /// What it is for is written down.
    noted: bool,
    arrived: u64,
    /// Of all that has arrived, unless that was before this process.
    hash: Option<Hash>,
    /// It is in place, or was dropped: nothing is left to be gone on with.
    done: bool,
}

/// How far an upload has come.
#[derive(Debug)]
pub enum Progress {
    /// There is more to come.
    Waiting {
        /// So many bytes have arrived.
        arrived: u64,
        /// Of these, for whoever goes on with it.
        hash: Option<Hash>,
    },
    /// It is in place, durably.
    Placed {
        /// Its SHA-256 in hexadecimal digits.
        sha256: String,
    },
}

impl Tree {
    /// Begins an upload, or goes on with one. `hash` is of what has arrived, if that is known. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// What is wrong with the path; `upload-offset` with the detail `arrived` where the bytes that follow
    /// do not belong there; `upload-key-reused`; `upload-busy` while another connection sends it;
    /// `disk-full`; where the disk refuses.
    pub fn receive(
        self,
        upload: Upload,
        reserve: Reserve,
        hash: Option<Hash>,
    ) -> Result<Incoming, Error> {
        self.check_target(&upload.path)?;
        let staging = Staging::open(&self, &upload.key)?;
        let mut incoming = Incoming {
            tree: self,
            upload,
            reserve,
            staging,
            part: None,
            noted: false,
            arrived: 0,
            hash: Some(Hash::default()),
            done: false,
        };
        incoming.resume(hash)?;
        let (offset, arrived) = (incoming.upload.offset, incoming.arrived);
        if offset != arrived {
            return Err(misplaced(offset, arrived));
        }
        incoming.room(incoming.upload.size.saturating_sub(arrived))?;
        Ok(incoming)
    }

    /// How much has arrived under a key. Blocks on the disk.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn arrived(&self, key: &str) -> Result<u64, Error> {
        let staging = Staging::open(self, key)?;
        match staging.note()? {
            Some(note) => Ok(note.counts(staging.length()?)),
            None => Ok(0),
        }
    }

    /// Refuses early what could not be put in place at the end.
    fn check_target(&self, path: &str) -> Result<(), Error> {
        match self.place(path) {
            Ok(place) => match place.stat() {
                Ok(stat) if kind(&stat) == FileKind::Folder => Err(folder(path)),
                _ => Ok(()),
            },
            // The folders on the way are made.
            Err(error) if error.kind == ErrorKind::NotFound => self.deepest(path).map(drop),
            Err(error) => Err(error),
        }
    }
}

impl Incoming {
    /// Takes up what has arrived before.
    fn resume(&mut self, hash: Option<Hash>) -> Result<(), Error> {
        let Some(note) = self.staging.note()? else {
            return Ok(());
        };
        if !note.is_for(&self.upload) {
            return Err(reused(&note.path));
        }
        let part = self.staging.part()?;
        let length = part.metadata().map_err(|error| self.failed(&error))?.len();
        let arrived = note.counts(length);
        if arrived != length {
            part.set_len(arrived).map_err(|error| self.failed(&error))?;
        }
        if self.upload.sha256.is_none() {
            self.upload.sha256 = note.sha256;
        }
        self.arrived = arrived;
        self.noted = true;
        self.part = Some(part);
        if arrived > 0 {
            self.hash = hash.filter(|hash| hash.bytes() == arrived);
        }
        Ok(())
    }

    /// Takes the next bytes. When it fails, what was taken until then has arrived.
    ///
    /// # Errors
    /// `upload-too-long`; `disk-full`; where the disk refuses.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let after = self.arrived.saturating_add(bytes.len() as u64);
        if after > self.upload.size {
            return Err(too_long(&self.upload));
        }
        self.room(bytes.len() as u64)?;
        if self.part.is_none() {
            self.part = Some(self.staging.part()?);
        }
        if !self.noted && after < self.upload.size && self.staging.can_resume() {
            self.staging.write_note(&Note::of(&self.upload)?)?;
            self.noted = true;
        }
        while !bytes.is_empty() {
            let part = self.part.as_ref();
            let written = part.map_or(Ok(0), |part| part.write_at(bytes, self.arrived));
            match written {
                Ok(0) => return Err(self.failed(&io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    let (taken, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
                    if let Some(hash) = &mut self.hash {
                        hash.update(taken);
                    }
                    self.arrived += taken.len() as u64;
                    bytes = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(())
    }

    /// There is no more to come for now: puts the file in place if it is whole.
    ///
    /// # Errors
    /// `upload-incomplete` without a key; `upload-digest`, and then nothing of it is left; what is wrong
    /// with the path by now; where the disk refuses.
    pub fn finish(mut self) -> Result<Progress, Error> {
        if self.arrived < self.upload.size {
            if !self.staging.can_resume() {
                return Err(incomplete(self.arrived, self.upload.size));
            }
            return Ok(Progress::Waiting {
                arrived: self.arrived,
                hash: self.hash.take(),
            });
        }
        let part = match self.part.take() {
            Some(part) => part,
            None => self.staging.part()?,
        };
        let sha256 = match self.hash.take() {
            Some(hash) => hash.finish(),
            None => hash_again(&part).map_err(|error| self.failed(&error))?,
        };
        let expected = self.upload.sha256.as_deref();
        if expected.is_some_and(|expected| !expected.eq_ignore_ascii_case(&sha256)) {
            self.drop_all();
            return Err(another(&self.upload.path, &sha256));
        }
        let mode = self.upload.mode.unwrap_or(USUAL_MODE) & MODE_BITS;
        part.set_permissions(Permissions::from_mode(mode))
            .and_then(|()| part.sync_all())
            .map_err(|error| self.failed(&error))?;
        if let Err(error) = self.place() {
            // Whoever asks again must be able to open it.
            let _ = part.set_permissions(Permissions::from_mode(STAGED_MODE));
            return Err(error);
        }
        self.done = true;
        self.staging.forget_note();
        Ok(Progress::Placed { sha256 })
    }

    /// How far it has come, for whoever goes on with it.
    #[must_use]
    pub fn suspend(mut self) -> (u64, Option<Hash>) {
        (self.arrived, self.hash.take())
    }

    fn place(&self) -> Result<(), Error> {
        let path = &self.upload.path;
        let place = self.tree.place_making(path)?;
        // Renaming replaces a link, a fifo or a device like a file, and a folder never.
        let renamed = renameat(
            self.staging.folder(),
            self.staging.part_name(),
            place.folder(),
            place.name,
        );
        match renamed {
            Ok(()) => sync(place.folder()).map_err(|error| refused(path, &error)),
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => Err(folder(path)),
            Err(error) => Err(refused(path, &error.into())),
        }
    }

    /// Refuses what would leave less than the reserve.
    fn room(&self, more: u64) -> Result<(), Error> {
        let system = fstatvfs(self.staging.folder()).map_err(|e| self.failed(&e.into()))?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let free = free.saturating_sub(self.reserve.bytes);
        if more > free {
            return Err(no_room(more, free));
        }
        Ok(())
    }

    fn drop_all(&mut self) {
        self.done = true;
        self.staging.remove();
    }

    fn failed(&self, error: &io::Error) -> Error {
        refused(&self.upload.path, error)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.done && !self.staging.can_resume() {
            self.staging.remove();
        }
    }
}

fn hash_again(part: &File) -> io::Result<String> {
    let (mut hash, mut buffer) = (Hash::default(), vec![0; AGAIN_BYTES]);
    loop {
        match part.read_at(&mut buffer, hash.bytes()) {
            Ok(0) => return Ok(hash.finish()),
            Ok(count) => hash.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn misplaced(offset: u64, arrived: u64) -> Error {
    Error::conflict(
        "upload-offset",
        format!(
            "of this upload {arrived} bytes have arrived, and what was sent belongs at {offset}: go on at {arrived}, or begin \
             another upload under a new key"
        ),
    )
    .with("arrived", arrived)
}

fn reused(path: &str) -> Error {
    Error::conflict(
        "upload-key-reused",
        format!(
            "this key is of another upload, of `{}`, or of another size, SHA-256 or mode: take a new key for a new upload",
            shown(path)
        ),
    )
}

fn too_long(upload: &Upload) -> Error {
    Error::invalid(
        "upload-too-long",
        format!(
            "more bytes came than the {} that `{}` has as a whole: say its size as it is",
            upload.size,
            shown(&upload.path)
        ),
    )
}

fn incomplete(arrived: u64, size: u64) -> Error {
    Error::invalid(
        "upload-incomplete",
        format!(
            "{arrived} of {size} bytes came, and without a key what came is not kept: send all of it, or send it with a key"
        ),
    )
}

fn another(path: &str, sha256: &str) -> Error {
    Error::invalid(
        "upload-digest",
        format!(
            "what arrived for `{}` has another SHA-256 than was said, and was dropped: it changed while it was sent, or on the \
             way; send it again",
            shown(path)
        ),
    )
    .with("sha256", sha256)
}
