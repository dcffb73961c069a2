//! What is told of one thing in a workspace.

use std::fmt::Write as _;
use std::os::fd::BorrowedFd;

use fleet_model::file::{FileEntry, FileKind, MODE_BITS};
use rustix::fs::{FileType, Statx, readlinkat};

/// What is told of what has this name in an open folder. Without a folder nothing is told of where a
/// link points.
pub(super) fn entry(folder: Option<BorrowedFd<'_>>, name: &[u8], stat: &Statx) -> FileEntry {
    let kind = kind(stat);
    // A link that is gone by now is told without its target.
    let target = folder
        .filter(|_| kind == FileKind::Link)
        .and_then(|folder| readlinkat(folder, name, Vec::new()).ok());
    FileEntry {
        name: readable(name),
        kind,
        size: if kind == FileKind::Folder {
            0
        } else {
            stat.stx_size
        },
        mode: u32::from(stat.stx_mode) & MODE_BITS,
        modified_ms: modified_ms(stat),
        target: target.map(|target| readable(target.to_bytes())),
        sha256: None,
    }
}

/// What something is.
pub(super) fn kind(stat: &Statx) -> FileKind {
    match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        FileType::Symlink => FileKind::Link,
        _ => FileKind::Other,
    }
}

/// A name as text; bytes that are not UTF-8 as `\xFF`.
pub(super) fn readable(name: &[u8]) -> String {
    name.utf8_chunks()
        .fold(String::with_capacity(name.len()), |mut text, chunk| {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\x{byte:02X}");
            }
            text
        })
}

fn modified_ms(stat: &Statx) -> u64 {
    let at = stat.stx_mtime;
    let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000)
        .saturating_add(u64::from(at.tv_nsec / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_text_can_be_read_and_told_apart() {
        assert_eq!(readable("ü €\n".as_bytes()), "ü €\n");
        assert_eq!(readable(b"a\xffb\xc3"), "a\\xFFb\\xC3");
    }
}
