//! Segments: the numbered files of a log, and places in them.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A place in a log: right before a line, or at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

impl Place {
    /// The start of a segment.
    pub(crate) fn start_of(segment: u64) -> Self {
        Self { segment, offset: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.segment, self.offset)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (segment, offset) = text.split_once('.').ok_or(())?;
        let place = Self {
            segment: segment.parse().map_err(|_| ())?,
            offset: offset.parse().map_err(|_| ())?,
        };
        if place.to_string() == text {
            Ok(place)
        } else {
            Err(())
        }
    }
}

/// The file of a segment.
pub(crate) fn path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:08}.log"))
}

/// The segments of a log, the oldest first. A log that was never written to has none.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".log")?.parse().ok());
        found.extend(number.filter(|number| path(folder, *number).file_name() == Some(&name)));
    }
    found.sort_unstable();
    Ok(found)
}
