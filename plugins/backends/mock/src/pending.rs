//! How far a slow `create` has come.
//!
//! Before there is a handle nothing can be remembered, so the time counts from when the workload
//! was made, which its id tells: `wl_` and a ULID, whose first ten characters are Unix
//! milliseconds (<https://github.com/ulid/spec>).

use fleet_sdk::driver::Progress;

use crate::config::Config;

/// How often to ask again, in milliseconds.
const ASK_MS: u64 = 500;

/// What is left to do at this time. Nothing for an id that tells no time.
pub(crate) fn progress(config: &Config, workload: &str, now_ms: u64) -> Option<Progress> {
    let total = config.create_pending_ms.get();
    let done = now_ms.saturating_sub(made_at_ms(workload)?);
    let left = total.checked_sub(done).filter(|left| *left > 0)?;
    Some(Progress {
        message: format!("getting ready, {left} ms to go"),
        done: Some((done, total)),
        retry_after_ms: u32::try_from(left.min(ASK_MS)).unwrap_or(u32::MAX),
    })
}

fn made_at_ms(workload: &str) -> Option<u64> {
    const DIGITS: &str = "0123456789abcdefghjkmnpqrstvwxyz";
    let time = workload.strip_prefix("wl_")?.get(..10)?;
    time.chars().try_fold(0_u64, |ms, character| {
        let digit = DIGITS.find(character)?;
        ms.checked_mul(32)?.checked_add(u64::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the id below tells: 2016-07-30T23:54:10.259Z.
    const MADE: u64 = 1_469_922_850_259;
    const ID: &str = "wl_01arz3ndektsv4rrffq69g5fav";

    fn left(pending_ms: u64, id: &str, now_ms: u64) -> Option<(u64, u64, u32)> {
        let config = serde_json::json!({ "create_pending_ms": pending_ms });
        let config: Config = serde_json::from_value(config).unwrap();
        let progress = progress(&config, id, now_ms)?;
        let (done, total) = progress.done?;
        Some((done, total, progress.retry_after_ms))
    }

    #[test]
    fn an_id_tells_when_it_was_made() {
        assert_eq!(made_at_ms(ID), Some(MADE));
        assert_eq!(made_at_ms("wl_0000000010xyz"), Some(32));
        for other in ["", "wl_", "nd_0000000010", "wl_u000000000"] {
            assert_eq!(made_at_ms(other), None, "{other}");
        }
    }

    #[test]
    fn it_is_pending_until_its_time_has_passed() {
        assert_eq!(left(0, ID, MADE), None);
        assert_eq!(left(2_000, ID, MADE), Some((0, 2_000, 500)));
        assert_eq!(left(2_000, ID, MADE + 1_900), Some((1_900, 2_000, 100)));
        assert_eq!(left(2_000, ID, MADE + 2_000), None);
        assert_eq!(
            left(2_000, ID, MADE - 50),
            Some((0, 2_000, 500)),
            "a clock behind the id's"
        );
        assert_eq!(left(2_000, "wl_1", MADE), None);
    }
}
