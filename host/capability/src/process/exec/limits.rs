//! How much is held for a program beside a process, and how many there may be.

/// How much output is kept for who comes back, in bytes, and how far a reader may be behind before
/// the program waits for it.
pub const KEPT_BYTES: u64 = 4 * 1024 * 1024;

/// How much input is held that the program has not read yet, in bytes.
pub const INPUT_BYTES: u64 = 256 * 1024;

/// How many programs may run beside one process.
pub const LIVE: usize = 32;

/// How many that have ended are remembered; the oldest go first.
pub const ENDED: usize = 64;

/// How much output is on its way from shim to host before the reader asked for it, in bytes.
pub(crate) const WINDOW_BYTES: u64 = 512 * 1024;

/// The most bytes of output or input in one frame.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// How long a start may be under way before it counts as given up: no call waits as long.
pub(crate) const STARTING_MS: u64 = 60_000;
