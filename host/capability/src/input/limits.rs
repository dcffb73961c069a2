//! How much may wait, and for how long it is remembered.

/// The largest command, in bytes.
pub const COMMAND_BYTES: usize = 1024 * 1024;

/// The most that waits for one program, in bytes of its commands.
pub const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// The most commands that wait for one program.
pub const WAITING: usize = 4_096;

/// The longest call, in bytes.
pub const CALL_BYTES: usize = 1_024;

/// How many calls are remembered, at most.
pub const CALLS: usize = 10_000;

/// How long a call is remembered, unless there are too many: as long as the API keeps an
/// idempotency key.
pub const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1_000;
