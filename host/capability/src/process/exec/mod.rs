//! Programs beside a process: asked for by a key, each kept by a shim of its own.
//!
//! Such a program runs in the workspace of a process that runs, with its environment and secrets and
//! in its cgroup. Its folder is `TRY/execs/KEY` (`slot.rs`), and its shim (`shim/beside`) parents it,
//! holds its input and the newest of its output, and records its end. So the host may come and go:
//! one that starts again finds it by its name, and a reader goes on where it was.
//!
//! * **Once per call.** KEY is made of the call ([`key`]); the slot's claim is created once and durable
//!   before anything is executed, whoever asks how often.
//! * **Nothing is lost while somebody reads.** The shim stops reading the program's pipes while
//!   [`KEPT_BYTES`](limits::KEPT_BYTES) of output wait for the reader. While nobody is attached the oldest
//!   go, and who comes back is told so.
//! * **It does not outlive the process.** Its shim sees the end of the process's shim and ends all that the program
//!   started. An ended program's shim stays until its output was seen, for ten minutes at most, or as
//!   long as something that the program left running does.

pub(crate) mod attach;
pub(crate) mod calls;
pub(crate) mod create;
pub(crate) mod incoming;
pub(crate) mod input;
pub mod limits;
pub(crate) mod link;
pub(crate) mod over;
pub(crate) mod plan;
pub(crate) mod record;
pub(crate) mod reference;
pub(crate) mod slot;
pub(crate) mod state;
pub(crate) mod wire;

use sha2::{Digest, Sha256};

/// The number that names the program of a call: the first 8 bytes of its SHA-256, the highest first.
#[must_use]
pub fn key(call: &str) -> u64 {
    let digest = Sha256::digest(call.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |key, byte| key << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_key_of_a_call_is_the_beginning_of_its_sha256() {
        // printf abc | sha256sum
        assert_eq!(super::key("abc"), 0xba78_16bf_8f01_cfea);
    }
}
