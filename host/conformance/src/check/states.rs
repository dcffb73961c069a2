//! States in words, and whether they are the right ones.

use fleet_model::driver::{Exit, Observation, RunState};
use fleet_model::exec::ExecState;

use super::{Met, unmet};
use crate::case::step::{Word, Words};

impl Word {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }
}

impl Words {
    fn shown(&self) -> String {
        let words: Vec<&str> = self.0.iter().map(|word| word.as_str()).collect();
        words.join(" or ")
    }
}

/// How something must have ended; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<String>,
}

impl End {
    fn fits(&self, exit: &Exit) -> bool {
        let code = self.code.is_none_or(|code| code == exit.code);
        let signal = self.signal.as_ref();
        code && signal.is_none_or(|signal| Some(signal) == exit.signal.as_ref())
    }

    /// In words; empty where nothing matters.
    fn shown(&self) -> String {
        let code = self.code.map(|code| format!(" with code {code}"));
        let signal = self.signal.as_ref().map(|signal| format!(" by {signal}"));
        code.unwrap_or_default() + &signal.unwrap_or_default()
    }
}

/// A state in one word.
pub(crate) fn word(state: &RunState) -> Word {
    match state {
        RunState::Created => Word::Created,
        RunState::Running => Word::Running,
        RunState::Exited { .. } => Word::Exited,
        RunState::Lost { .. } => Word::Lost,
        RunState::Unknown { .. } => Word::Unknown,
    }
}

/// The same of a program beside a workload.
pub(crate) fn exec_word(state: &ExecState) -> Word {
    match state {
        ExecState::Running => Word::Running,
        ExecState::Exited { .. } => Word::Exited,
        ExecState::Lost { .. } => Word::Lost,
    }
}

/// A state with all that is known of it.
pub(crate) fn shown(state: &RunState) -> String {
    match state {
        RunState::Created => "created".to_owned(),
        RunState::Running => "running".to_owned(),
        RunState::Exited { exit } => shown_exit(exit),
        RunState::Lost { reason } => format!("lost ({reason})"),
        RunState::Unknown { reason } => format!("unknown ({reason})"),
    }
}

/// The same of a program beside a workload.
pub(crate) fn exec_shown(state: &ExecState) -> String {
    match state {
        ExecState::Running => "running".to_owned(),
        ExecState::Exited { exit, .. } => shown_exit(exit),
        ExecState::Lost { reason } => format!("lost ({reason})"),
    }
}

fn shown_exit(exit: &Exit) -> String {
    let end = End {
        code: Some(exit.code),
        signal: exit.signal.clone(),
    };
    format!("exited{}", end.shown())
}

/// Whether it is one of these and ended so.
pub(crate) fn is(state: &RunState, words: &Words, end: &End) -> Met {
    let fits = match state {
        RunState::Exited { exit } => end.fits(exit),
        _ => *end == End::default(),
    };
    if words.0.contains(&word(state)) && fits {
        return Ok(());
    }
    unmet(words.shown() + &end.shown(), shown(state))
}

/// The same of a program beside a workload.
pub(crate) fn exec_is(state: &ExecState, words: &Words, end: &End) -> Met {
    let fits = match state {
        ExecState::Exited { exit, .. } => end.fits(exit),
        _ => *end == End::default(),
    };
    if words.0.contains(&exec_word(state)) && fits {
        return Ok(());
    }
    unmet(words.shown() + &end.shown(), exec_shown(state))
}

/// Whether waiting for these words makes sense while it is so: what is over does not come back.
pub(crate) fn may_become(state: &RunState, words: &Words) -> bool {
    let over = matches!(state, RunState::Exited { .. } | RunState::Lost { .. });
    !over || words.0.contains(&word(state))
}

/// Whether a look agrees with how the runtime was said to have ended.
pub(crate) fn agrees(ended: &Exit, state: &RunState) -> Met {
    let before = || format!("{}, as it was told before", shown_exit(ended));
    match state {
        RunState::Exited { exit } if (exit.code, &exit.signal) == (ended.code, &ended.signal) => {
            Ok(())
        }
        RunState::Exited { .. } | RunState::Running | RunState::Created => {
            unmet(before(), shown(state))
        }
        // It may be removed meanwhile.
        RunState::Lost { .. } | RunState::Unknown { .. } => Ok(()),
    }
}

/// Whether two looks are at the same runtime in the same state.
pub(crate) fn same(expected: &Observation, saw: &Observation) -> Met {
    let pid = |look: &Observation| look.attributes.get("pid").cloned();
    let (before, after) = (shown(&expected.state), shown(&saw.state));
    if before != after {
        return unmet(format!("the same effect: {before}"), after);
    }
    match (pid(expected), pid(saw)) {
        (Some(one), Some(other)) if one != other => unmet(
            format!("the same effect: process {one}"),
            format!("process {other}"),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn exited(code: i32, signal: Option<&str>) -> RunState {
        RunState::Exited {
            exit: Exit {
                code,
                signal: signal.map(str::to_owned),
                at_ms: None,
            },
        }
    }

    #[test]
    fn a_state_is_what_was_asked_for_or_said_in_full() {
        let words = |words: &[Word]| Words(words.to_vec());
        let end = |code, signal: Option<&str>| End {
            code,
            signal: signal.map(str::to_owned),
        };
        let lost = || RunState::Lost {
            reason: "gone".to_owned(),
        };
        let any = end(None, None);
        for (state, wanted, end, expected) in [
            (
                RunState::Running,
                words(&[Word::Running]),
                any.clone(),
                None,
            ),
            (
                exited(3, None),
                words(&[Word::Exited]),
                end(Some(3), None),
                None,
            ),
            (
                exited(143, Some("TERM")),
                words(&[Word::Exited]),
                end(Some(143), Some("TERM")),
                None,
            ),
            (
                lost(),
                words(&[Word::Exited, Word::Lost]),
                any.clone(),
                None,
            ),
            (
                exited(4, None),
                words(&[Word::Exited]),
                end(Some(3), None),
                Some(("exited with code 3", "exited with code 4")),
            ),
            (
                exited(143, None),
                words(&[Word::Exited]),
                end(Some(143), Some("TERM")),
                Some(("exited with code 143 by TERM", "exited with code 143")),
            ),
            (
                lost(),
                words(&[Word::Exited]),
                any.clone(),
                Some(("exited", "lost (gone)")),
            ),
            (
                lost(),
                words(&[Word::Exited, Word::Lost]),
                end(Some(0), None),
                Some(("exited or lost with code 0", "lost (gone)")),
            ),
        ] {
            let want = expected.map_or(Ok(()), |(expected, saw)| unmet(expected, saw));
            assert_eq!(is(&state, &wanted, &end), want);
        }
    }

    #[test]
    fn what_is_over_stays_over() {
        let ended = Exit {
            code: 3,
            ..Exit::default()
        };
        assert!(agrees(&ended, &exited(3, None)).is_ok());
        for other in [exited(0, None), exited(3, Some("TERM")), RunState::Running] {
            assert!(agrees(&ended, &other).is_err(), "{other:?}");
        }
        let running = Words(vec![Word::Running]);
        assert!(may_become(&RunState::Created, &running));
        assert!(!may_become(&exited(0, None), &running));
    }

    #[test]
    fn the_same_effect_is_the_same_state_and_process() {
        let look = |state, pid: Option<&str>| Observation {
            state,
            started_at_ms: None,
            attributes: pid
                .map(|pid| ("pid".to_owned(), pid.to_owned()))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        };
        let one = look(RunState::Running, Some("1"));
        assert!(same(&one, &one).is_ok());
        assert!(same(&one, &look(RunState::Running, None)).is_ok());
        assert_eq!(
            same(&one, &look(RunState::Running, Some("2"))),
            unmet("the same effect: process 1", "process 2")
        );
        assert_eq!(
            same(&one, &look(exited(0, None), None)),
            unmet("the same effect: running", "exited with code 0")
        );
    }
}
