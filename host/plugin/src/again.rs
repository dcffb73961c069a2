//! Asks backends now and then whether they can work here: what they need may come, or go.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fleet_model::driver::Fingerprint;
use fleet_model::{Error, Name};
use fleet_seam::Clock;
use futures::future::join_all;

use crate::backend::Backend;
use crate::driver::Driver;
use crate::swap::shared::Shared;

/// How often it is looked who is to be asked: one that cannot work is asked each time.
const OFTEN: Duration = Duration::from_secs(5);

/// How long one that can work is believed, in milliseconds.
const RARELY_MS: u64 = 60_000;

/// Asks for as long as there is a host.
pub(crate) async fn ask_again(host: Weak<Shared>, clock: Arc<dyn Clock>) {
    let mut due = BTreeMap::new();
    loop {
        clock.sleep(OFTEN).await;
        let Some(host) = host.upgrade() else { return };
        let now_ms = clock.boot_ms();
        let mut asked = Vec::new();
        for (name, backend) in host.backends.load_full().iter() {
            if due.get(name).is_none_or(|due_ms| *due_ms <= now_ms) {
                asked.push(fingerprint(name.clone(), backend.clone()));
            }
        }
        // All at one time: one that does not answer keeps no other waiting.
        let answers = join_all(asked).await;
        for (name, answer) in answers {
            due.insert(name, now_ms.saturating_add(pause_ms(&answer)));
        }
    }
}

async fn fingerprint(name: Name, backend: Arc<Backend>) -> (Name, Result<Fingerprint, Error>) {
    let answer = backend.fingerprint().await;
    (name, answer)
}

/// How long this answer is believed. One that fails for good is not pressed.
fn pause_ms(answer: &Result<Fingerprint, Error>) -> u64 {
    match answer {
        Ok(found) if found.unusable.is_some() => 0,
        Err(error) if error.kind.is_retryable() => 0,
        _ => RARELY_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_work_now_is_asked_again_soon() {
        let found = |unusable: Option<&str>| {
            Ok(Fingerprint {
                unusable: unusable.map(str::to_owned),
                attributes: BTreeMap::new(),
            })
        };
        for (answer, soon) in [
            (found(None), false),
            (found(Some("no engine")), true),
            (Err(Error::unavailable("x", "x")), true),
            (Err(Error::internal("x", "x")), false),
            (Err(Error::denied("x", "x")), false),
        ] {
            assert_eq!(pause_ms(&answer) == 0, soon, "{answer:?}");
        }
    }
}
