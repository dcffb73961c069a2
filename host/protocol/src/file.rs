//! Files of a workload's workspace over a bulk stream.
//!
//! Paths are relative to the workspace, with `/` between names; the empty path is the workspace
//! itself. A call is answered with one JSON frame ([`Reply`]), but for `read`, whose reply is followed
//! by frames of the file's bytes until the stream ends, and `write`, whose reply comes after the
//! controller has sent frames of bytes and an empty one.

use fleet_model::Error;
pub use fleet_model::file::{FileEntry, FileKind, Upload};
use serde::{Deserialize, Serialize};

/// The most bytes of a file in one frame.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// The most entries in one answer to `list`.
pub const MAX_PAGE: u32 = 1_000;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "call")]
pub enum FileCall {
    /// The entries of a folder, in order of their names, from after `after`.
    List {
        /// The folder.
        path: String,
        /// The last name seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// At most so many.
        limit: u32,
    },
    /// What is at this path.
    Stat {
        /// Where.
        path: String,
        /// Whether to read the file and answer its SHA-256.
        #[serde(default)]
        digest: bool,
        /// Whether it is what a link there leads to, not the link.
        #[serde(default)]
        follow: bool,
    },
    /// A file's bytes from `offset` on.
    Read {
        /// Where.
        path: String,
        /// From which byte.
        #[serde(default)]
        offset: u64,
        /// At most so many bytes; absent: to its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        length: Option<u64>,
    },
    /// A part of a file, put beside it until it is whole, then in its place at once.
    Write(Upload),
    /// How much of an upload has arrived.
    Uploaded {
        /// Its key.
        key: String,
    },
    /// A folder, and those above it that are missing. Fine when it is there.
    MakeFolder {
        /// Where.
        path: String,
    },
    /// Gives something another path. What is there is not replaced, unless `replace` is set and it
    /// is no folder.
    Move {
        /// From where.
        from: String,
        /// To where.
        to: String,
        /// Whether a file there is replaced.
        #[serde(default)]
        replace: bool,
    },
    /// Removes a file, a link or an empty folder; a full one with `recursive`.
    Remove {
        /// Where.
        path: String,
        /// Whether to remove what is in a folder.
        #[serde(default)]
        recursive: bool,
    },
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reply")]
pub enum Reply {
    /// To `list`.
    Entries {
        /// In order of their names.
        entries: Vec<FileEntry>,
        /// The last of these, if there are more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// To `stat` and, before its bytes, to `read`.
    Entry(FileEntry),
    /// To `write` and `uploaded`.
    Upload {
        /// So many bytes have arrived.
        arrived: u64,
        /// The file's SHA-256 once it is in place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// To what only changes something.
    Done,
    /// To what failed after it was begun.
    Failed(Error),
}
