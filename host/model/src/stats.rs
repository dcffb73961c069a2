//! What a workload uses.

use serde::{Deserialize, Serialize};

/// How often a running workload is looked at, in milliseconds.
pub const PERIOD_MS: u64 = 10_000;

/// How long looks are kept, in milliseconds.
pub const HISTORY_MS: u64 = 60 * 60 * 1_000;

/// One look. Counters count from the runtime's start; what cannot be told is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Processor time, all processors together, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Memory in use, in bytes, without what can be dropped at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Read from disks, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Written to disks, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
}

/// A look and when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sample {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Processor use since the look before, in thousandths of a processor; absent in the first look at
    /// a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// What was seen.
    #[serde(flatten)]
    pub usage: Usage,
}
