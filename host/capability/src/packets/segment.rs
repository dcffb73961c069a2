//! Segments: the files of a spool, each named by the number of its first packet.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The file of the segment that begins with this packet.
pub(crate) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.jsonl"))
}

/// The segments of a spool by their first packets, the oldest first.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let first = name
            .to_str()
            .and_then(|name| name.strip_suffix(".jsonl")?.parse().ok());
        found.extend(first.filter(|first| path(folder, *first).file_name() == Some(&name)));
    }
    found.sort_unstable();
    Ok(found)
}

/// All that is in a segment now; `None` where it is gone.
pub(crate) fn content(folder: &Path, first: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path(folder, first)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(length).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
