//! How much is kept, and in which pieces.

use fleet_model::Error;
use fleet_model::quantity::Size;
use serde::{Deserialize, Serialize};

/// The longest line of a program that is kept as one line of the log, in bytes; a longer one is
/// kept in parts. As container runtimes have it.
pub(crate) const LINE_BYTES: usize = 16 * 1024;

/// How long a program may pause within a line before the part it wrote is shown.
pub(crate) const PAUSE_MS: u64 = 50;

/// How much is read at once; holds the longest line of a log with room to spare.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// The smallest segment of a limited log: holds a few of the longest lines.
const LEAST_SEGMENT_BYTES: u64 = 64 * 1024;

/// The largest segment; a larger log has more of them.
const MOST_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// How many segments a log has at least, where it is large enough: what goes when a new one begins
/// is at most one part in so many.
const PARTS: u64 = 4;

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
            segment_bytes: MOST_SEGMENT_BYTES,
            segments: PARTS,
        }
    }
}

impl LogLimits {
    /// The least a log can be limited to: two segments.
    pub const LEAST: Size = Size::from_bytes(2 * LEAST_SEGMENT_BYTES);

    /// Segments that never take more than this together.
    #[must_use]
    pub fn within(total: Size) -> Self {
        let total = total.as_bytes().max(Self::LEAST.as_bytes());
        let segment_bytes = (total / PARTS).clamp(LEAST_SEGMENT_BYTES, MOST_SEGMENT_BYTES);
        Self {
            segment_bytes,
            segments: total / segment_bytes,
        }
    }

    /// Whether a log can be held to this.
    ///
    /// # Errors
    /// `invalid` (`log-limit-too-small`).
    pub fn check(limit: Option<Size>) -> Result<(), Error> {
        match limit {
            Some(limit) if limit < Self::LEAST => Err(Error::invalid(
                "log-limit-too-small",
                format!(
                    "a log cannot be limited to {limit}: write at least {} for `log`",
                    Self::LEAST
                ),
            )),
            _ => Ok(()),
        }
    }

    /// How many bytes may be written at once, so that they always fit into a segment together with
    /// a last long line.
    pub(crate) fn gather_bytes(self, most: usize) -> usize {
        usize::try_from(self.segment_bytes / 2).map_or(most, |half| half.clamp(1, most))
    }

    /// What all segments may take.
    pub(crate) fn total_bytes(self) -> u64 {
        self.segment_bytes.saturating_mul(self.segments.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stay_within_the_limit_and_never_are_one() {
        for (limit, segment_kib, segments) in [
            ("128KiB", 64, 2),
            ("130000B", 64, 2),
            ("200KiB", 64, 3),
            ("1MiB", 256, 4),
            ("64MiB", 16 * 1024, 4),
            ("1GiB", 16 * 1024, 64),
        ] {
            let limit: Size = limit.parse().unwrap();
            let limits = LogLimits::within(limit);
            assert_eq!(limits.segment_bytes, segment_kib * 1024, "{limit}");
            assert_eq!(limits.segments, segments, "{limit}");
            assert!(limits.total_bytes() <= limit.as_bytes().max(128 * 1024));
        }
        assert_eq!(
            LogLimits::within("64MiB".parse().unwrap()),
            LogLimits::default()
        );
        assert!(LogLimits::check(Some("127KiB".parse().unwrap())).is_err());
        assert!(LogLimits::check(Some(LogLimits::LEAST)).is_ok());
        assert!(LogLimits::check(None).is_ok());
    }
}
