//! The session counter: tells a node from its copy. Pure.
//!
//! The controller issues n + 1, the node makes that durable and confirms it. Until then a node may
//! come again with n, because the welcome may have been lost. Any other number was kept by somebody
//! else: a clone, or a disk that was put back.

use fleet_model::Error;

use crate::state::SessionCounter;

/// The counter after a hello with `shown`, the highest the node has confirmed.
///
/// # Errors
/// `denied` (`session-counter`).
pub(super) fn issue(known: Option<SessionCounter>, shown: u64) -> Result<SessionCounter, Error> {
    let fits = known.is_none_or(|known| shown == known.issued || shown == known.confirmed);
    match (fits, shown.checked_add(1)) {
        (true, Some(issued)) => Ok(SessionCounter {
            issued,
            confirmed: shown,
        }),
        _ => {
            let expected = known.map_or(0, |known| known.issued);
            Err(Error::denied(
                "session-counter",
                format!(
                    "the node shows session {shown} and {expected} was expected: its data folder is a copy or was put back from \
                     a backup; let the original run, or give this one a data folder of its own"
                ),
            )
            .with("shown", shown)
            .with("expected", expected))
        }
    }
}

/// The counter after a confirmation of `session`.
///
/// # Errors
/// `conflict` (`session-replaced`) when a later one was issued meanwhile.
pub(super) fn confirm(known: SessionCounter, session: u64) -> Result<SessionCounter, Error> {
    if known.issued == session && known.confirmed < session {
        Ok(SessionCounter {
            issued: session,
            confirmed: session,
        })
    } else {
        Err(replaced())
    }
}

/// Whether a session may still write.
///
/// # Errors
/// `conflict` (`session-replaced`).
pub(super) fn check(known: SessionCounter, session: u64) -> Result<(), Error> {
    if known.issued == session && known.confirmed == session {
        Ok(())
    } else {
        Err(replaced())
    }
}

fn replaced() -> Error {
    Error::conflict(
        "session-replaced",
        "a later session of this node has taken over",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(issued: u64, confirmed: u64) -> SessionCounter {
        SessionCounter { issued, confirmed }
    }

    #[test]
    fn the_next_number_is_issued_and_an_unconfirmed_one_again() {
        for (known, shown, want) in [
            (None, 0, Some(counter(1, 0))),
            // A node that worked for a controller that lost its store.
            (None, 7, Some(counter(8, 7))),
            (Some(counter(1, 1)), 1, Some(counter(2, 1))),
            // The welcome was lost.
            (Some(counter(2, 1)), 1, Some(counter(2, 1))),
            // The confirmation was lost.
            (Some(counter(2, 1)), 2, Some(counter(3, 2))),
            // A copy that was left behind, and one from another world.
            (Some(counter(2, 2)), 1, None),
            (Some(counter(3, 2)), 1, None),
            (Some(counter(2, 2)), 0, None),
            (Some(counter(2, 2)), 3, None),
            (None, u64::MAX, None),
        ] {
            assert_eq!(issue(known, shown).ok(), want, "{known:?} {shown}");
        }
        assert_eq!(
            issue(Some(counter(2, 2)), 1).unwrap_err().code,
            "session-counter"
        );
    }

    #[test]
    fn a_session_is_confirmed_once_and_fenced_by_the_next() {
        assert_eq!(confirm(counter(2, 1), 2), Ok(counter(2, 2)));
        assert!(confirm(counter(2, 2), 2).is_err());
        assert!(confirm(counter(3, 2), 2).is_err());
        assert!(check(counter(2, 2), 2).is_ok());
        assert!(check(counter(3, 2), 2).is_err());
    }
}
