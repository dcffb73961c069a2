//! How much of a workload's packets is kept.

use serde::{Deserialize, Serialize};

/// How much of a workload's packets is kept, stored elsewhere or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketLimits {
    /// A segment that would grow over this is followed by a new one.
    pub segment_bytes: u64,
    /// All segments together; the oldest go first. One segment is always kept.
    pub total_bytes: u64,
}

/// 64 MiB per workload, in segments of 1 MiB.
impl Default for PacketLimits {
    fn default() -> Self {
        Self {
            segment_bytes: 1024 * 1024,
            total_bytes: 64 * 1024 * 1024,
        }
    }
}
