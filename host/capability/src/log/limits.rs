//! How much is kept, and in which pieces.

use serde::{Deserialize, Serialize};

/// The longest line of a program that is kept as one line of the log, in bytes; a longer one is
/// kept in parts. As container runtimes have it.
pub(crate) const LINE_BYTES: usize = 16 * 1024;

/// How long a program may pause within a line before the part it wrote is shown.
pub(crate) const PAUSE_MS: u64 = 50;

/// How much is read at once; holds the longest line of a log with room to spare.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// How much of a workload's output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// A segment that would grow over this is followed by a new one.
    pub segment_bytes: u64,
    /// At most this many segments are kept, at least one; the oldest go first.
    pub segments: u64,
}

/// 64 MiB per workload, in 4 segments of 16 MiB.
impl Default for LogLimits {
    fn default() -> Self {
        Self {
            segment_bytes: 16 * 1024 * 1024,
            segments: 4,
        }
    }
}
