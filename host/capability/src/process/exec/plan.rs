//! Whether one more program may run beside a process, and which are forgotten for it. Pure.

use fleet_model::{Error, ErrorKind};

use super::limits::{ENDED, LIVE, STARTING_MS};

/// How it stands with a program that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It runs.
    Live,
    /// It was asked for at this Unix time in milliseconds, and nothing was started yet.
    Asked(u64),
    /// It is over; it was asked for at this Unix time in milliseconds.
    Over(u64),
}

/// Which of these, by their places, are forgotten before one more begins.
///
/// # Errors
/// `exhausted` (`too-many-execs`) where as many run as may.
pub(crate) fn admit(known: &[Standing], now_ms: u64) -> Result<Vec<usize>, Error> {
    let is_live = |standing: &Standing| match standing {
        Standing::Live => true,
        // Of one that was given up nothing will ever be heard.
        Standing::Asked(at_ms) => now_ms.saturating_sub(*at_ms) < STARTING_MS,
        Standing::Over(_) => false,
    };
    if known.iter().filter(|standing| is_live(standing)).count() >= LIVE {
        return Err(Error::new(
            ErrorKind::Exhausted,
            "too-many-execs",
            format!(
                "{LIVE} programs run beside this process, and no more may: end one with `fleet-host workload execs rm EXEC`, or wait for one to end"
            ),
        ));
    }
    let mut over: Vec<(u64, usize)> = known
        .iter()
        .enumerate()
        .filter(|(_, standing)| !is_live(standing))
        .map(|(place, standing)| match standing {
            Standing::Asked(at_ms) | Standing::Over(at_ms) => (*at_ms, place),
            Standing::Live => (0, place),
        })
        .collect();
    over.sort_unstable();
    let surplus = over.len().saturating_sub(ENDED);
    Ok(over
        .into_iter()
        .take(surplus)
        .map(|(_, place)| place)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_run_as_may_and_no_more() {
        let now = 10 * STARTING_MS;
        let mut known = vec![Standing::Live; LIVE - 1];
        assert_eq!(admit(&known, now), Ok(vec![]));
        known.push(Standing::Asked(now - STARTING_MS));
        known.push(Standing::Over(now));
        assert_eq!(admit(&known, now), Ok(vec![]));
        known.push(Standing::Asked(now - 1));
        let error = admit(&known, now).unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Exhausted, "too-many-execs")
        );
    }

    #[test]
    fn the_oldest_that_are_over_are_forgotten() {
        let mut known: Vec<Standing> = (0..ENDED as u64).rev().map(Standing::Over).collect();
        known.push(Standing::Live);
        assert_eq!(admit(&known, STARTING_MS), Ok(vec![]));
        known.push(Standing::Asked(1));
        known.push(Standing::Over(5));
        let now = STARTING_MS + 1;
        // Of the same age, whichever is named first.
        assert_eq!(admit(&known, now), Ok(vec![ENDED - 1, ENDED - 2]));
    }
}
