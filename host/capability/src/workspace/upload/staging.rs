//! Where the bytes of an upload are until it is whole.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use fleet_model::{Error, ErrorKind};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::super::read::hex;
use super::super::refusal::{no_workspace, refused};
use super::super::tree::{FOLDER, Tree, look};
use super::note::Note;

/// The folder of all uploads of a workload.
pub(super) const UPLOADS: &str = "uploads";

/// What the file of an upload's bytes ends with.
pub(super) const PART: &str = "part";

/// What the file that says what an upload is for ends with.
const NOTE: &str = "json";

/// More than any note has.
const NOTE_BYTES: u64 = 16 * 1024;

/// When a client may ask again for an upload that another connection still sends, in milliseconds.
const BUSY_MS: u32 = 200;

/// The files of one upload.
#[derive(Debug)]
pub(super) struct Staging {
    folder: OwnedFd,
    part: String,
    note: String,
    /// Whether somebody can go on with it.
    keyed: bool,
}

impl Staging {
    /// The files of the upload with this key, or of one that has none.
    pub(super) fn open(tree: &Tree, key: &str) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let keyed = !key.is_empty();
        let stem = if keyed {
            stem(key)
        } else {
            format!("once-{}", NEXT.fetch_add(1, Ordering::Relaxed))
        };
        let folder = folder(tree).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => no_workspace(),
            _ => refused(UPLOADS, &error),
        })?;
        Ok(Self {
            folder,
            part: format!("{stem}.{PART}"),
            note: format!("{stem}.{NOTE}"),
            keyed,
        })
    }

    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    pub(super) fn part_name(&self) -> &str {
        &self.part
    }

    /// Whether what arrives can be gone on with.
    pub(super) fn can_resume(&self) -> bool {
        self.keyed
    }

    /// What the bytes that are there are for. One that cannot be read was cut off by a crash: then they
    /// are for nothing.
    pub(super) fn note(&self) -> Result<Option<Note>, Error> {
        if !self.keyed {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.folder, &*self.note, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(refused(UPLOADS, &error.into())),
        };
        let mut text = Vec::new();
        file.take(NOTE_BYTES)
            .read_to_end(&mut text)
            .map_err(|error| refused(UPLOADS, &error))?;
        Ok(serde_json::from_slice(&text).ok())
    }

    /// Writes down what the bytes are for: in one step, so that a crash leaves all of it or nothing.
    pub(super) fn write_note(&self, note: &Note) -> Result<(), Error> {
        let write = || {
            let new = format!("{}.new", self.note);
            let flags = OFlags::WRONLY
                | OFlags::CREATE
                | OFlags::TRUNC
                | OFlags::NOFOLLOW
                | OFlags::CLOEXEC;
            let file = openat(&self.folder, &*new, flags, Mode::RUSR | Mode::WUSR)?;
            File::from(file).write_all(&serde_json::to_vec(note)?)?;
            Ok(renameat(&self.folder, &*new, &self.folder, &*self.note)?)
        };
        write().map_err(|error: io::Error| refused(UPLOADS, &error))
    }

    pub(super) fn forget_note(&self) {
        // One that stays says nothing: its bytes are gone.
        let _ = unlinkat(&self.folder, &*self.note, AtFlags::empty());
    }

    /// How many bytes are there.
    pub(super) fn length(&self) -> Result<u64, Error> {
        match look(self.folder(), &*self.part, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(stat.stx_size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(refused(UPLOADS, &error)),
        }
    }

    /// Opens the file of bytes for this upload alone; without a note it begins empty.
    pub(super) fn part(&self) -> Result<File, Error> {
        let has_note = self.note()?.is_some();
        let part = self.open_part().map_err(|error| refused(UPLOADS, &error))?;
        let part = part.ok_or_else(busy)?;
        if !has_note {
            part.set_len(0).map_err(|error| refused(UPLOADS, &error))?;
        }
        Ok(part)
    }

    fn open_part(&self) -> io::Result<Option<File>> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&self.folder, &*self.part, flags, Mode::RUSR | Mode::WUSR);
        let part = match opened {
            Ok(part) => File::from(part),
            // A link, or a file that was to be put in place when the host was killed.
            Err(Errno::LOOP | Errno::ACCESS) => return self.begin_anew(),
            Err(error) => return Err(error.into()),
        };
        if !is_locked(&part)? {
            return Ok(None);
        }
        let open = look(part.as_fd(), "", AtFlags::EMPTY_PATH)?;
        let named = look(self.folder(), &*self.part, AtFlags::SYMLINK_NOFOLLOW);
        match named {
            Ok(named) if named.stx_ino == open.stx_ino => {}
            // Until it was locked another connection put it in its place in the workspace.
            _ => return Ok(None),
        }
        if open.stx_nlink != 1 || !part.metadata()?.is_file() {
            return self.begin_anew();
        }
        Ok(Some(part))
    }

    /// Takes away what is no file of bytes of ours; whoever asks again finds nothing.
    fn begin_anew<T>(&self) -> io::Result<Option<T>> {
        unlinkat(&self.folder, &*self.part, AtFlags::empty())?;
        Ok(None)
    }

    pub(super) fn remove(&self) {
        // What cannot be removed now goes with the workload, or when it is old.
        let _ = unlinkat(&self.folder, &*self.part, AtFlags::empty());
        self.forget_note();
    }
}

/// Opens the folder of uploads, which is made if it is not there.
fn folder(tree: &Tree) -> io::Result<OwnedFd> {
    match mkdirat(tree.folder(), UPLOADS, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(openat(tree.folder(), UPLOADS, FOLDER, Mode::empty())?)
}

/// What the names of an upload's files begin with.
pub(super) fn stem(key: &str) -> String {
    hex(&Sha256::digest(key))
}

/// Whether this process has the file to itself; it has it until it closes it.
pub(super) fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

fn busy() -> Error {
    Error {
        retry_after_ms: Some(BUSY_MS),
        ..Error::new(
            ErrorKind::Unavailable,
            "upload-busy",
            "another connection is still sending under this key: try again when it has ended",
        )
    }
}
