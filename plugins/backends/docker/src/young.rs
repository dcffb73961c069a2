//! A container that has just begun: its first process cannot be asked to end yet.
//!
//! The kernel drops a signal for process 1 that it does not wait for, and an engine's init waits for them
//! only some milliseconds after the engine calls the container running. When there is a second process,
//! the init is ready.

use fleet_sdk::clock;

use crate::runtime::Runtime;
use crate::{ask, ask_for, look, usage};

/// For how long a container is looked at before it is sent its first signal.
const YOUNG_MS: u64 = 1_000;

/// How often at most. One whose program is process 1 itself never has a second, and is not waited for.
const LOOKS: u32 = 50;

/// Comes back when a signal will be heard, as far as that can be told soon. Whatever is wrong, the signal
/// will tell.
pub(crate) fn grow_up(runtime: &Runtime) {
    let is_young = || {
        let began_ms = look(runtime).ok()?.began_ms()?;
        Some(clock::now().ok()?.saturating_sub(began_ms) < YOUNG_MS)
    };
    if is_young() != Some(true) {
        return;
    }
    for _ in 0..LOOKS {
        let sample = ask_for(runtime, &ask::stats(&runtime.container))
            .and_then(|(_, answer)| usage::sample(&answer));
        match sample {
            Ok(sample) if sample.processes.is_some_and(|count| count < 2) => {}
            _ => return,
        }
    }
}
