//! Which programs a run remembers, and which it takes on. Pure.

use std::collections::BTreeMap;

use fleet_model::{Error, ErrorKind};

use super::record::ExecRecord;

/// Programs of one run at once.
pub(super) const MOST_RUNNING: usize = 32;

/// Programs of one run that are remembered, over or not.
pub(super) const MOST_KEPT: usize = 64;

/// The keys of signals that are remembered for one program.
const MOST_SIGNALS: usize = 16;

/// The answer to somebody who wants one.
#[derive(Debug, PartialEq)]
pub(super) enum Admission {
    /// It was entered. These were over for longest and are forgotten for it.
    New(Vec<ExecRecord>),
    /// The same was asked for before.
    Known(Box<ExecRecord>),
}

/// Enters one under its name.
///
/// # Errors
/// `conflict` (`call-reused`), `exhausted` (`too-many-execs`).
pub(super) fn admit(
    execs: &mut BTreeMap<String, ExecRecord>,
    name: &str,
    mut wanted: ExecRecord,
) -> Result<Admission, Error> {
    if let Some(known) = execs.get(name) {
        return if known.call == wanted.call && known.spec == wanted.spec {
            Ok(Admission::Known(Box::new(known.clone())))
        } else {
            Err(Error::conflict(
                "call-reused",
                "another program was begun beside this workload under the same key: take a new key for a new program",
            ))
        };
    }
    if execs.values().filter(|exec| exec.over.is_none()).count() >= MOST_RUNNING {
        return Err(Error::new(
            ErrorKind::Exhausted,
            "too-many-execs",
            format!(
                "{MOST_RUNNING} programs run beside this workload, and no more may: end one with `fleet-host workload execs rm EXEC`, or wait for one to end"
            ),
        ));
    }
    let mut forgotten = Vec::new();
    while execs.len() >= MOST_KEPT {
        let oldest = execs
            .iter()
            .filter(|(_, exec)| exec.over.is_some())
            .min_by_key(|(_, exec)| exec.number)
            .map(|(name, _)| name.clone());
        match oldest.and_then(|name| execs.remove(&name)) {
            Some(exec) => forgotten.push(exec),
            None => break,
        }
    }
    wanted.number = execs
        .values()
        .map(|exec| exec.number)
        .max()
        .map_or(0, |last| last.saturating_add(1));
    execs.insert(name.to_owned(), wanted);
    Ok(Admission::New(forgotten))
}

/// Notes that a signal was sent under this key.
pub(super) fn signalled(exec: &mut ExecRecord, key: String) {
    if exec.signals.len() >= MOST_SIGNALS {
        exec.signals.remove(0);
    }
    exec.signals.push(key);
}

#[cfg(test)]
mod tests {
    use fleet_model::driver::Exit;
    use fleet_model::exec::{ExecInput, ExecSpec, ExecState};

    use super::*;

    fn wanted(call: &str) -> ExecRecord {
        ExecRecord {
            call: call.into(),
            spec: ExecSpec {
                command: vec!["true".into()],
                env: BTreeMap::new(),
                input: ExecInput::Null,
                terminal: None,
                timeout_ms: None,
            },
            number: 0,
            started_at_ms: 0,
            deadline: None,
            known: None,
            overdue_ms: None,
            over: None,
            signals: Vec::new(),
        }
    }

    fn end(exec: &mut ExecRecord) {
        exec.over = Some(ExecState::Exited {
            exit: Exit::default(),
            timed_out: false,
        });
    }

    #[test]
    fn the_same_again_is_the_one_that_is_there_and_another_under_its_key_is_refused() {
        let mut execs = BTreeMap::new();
        assert_eq!(
            admit(&mut execs, "a", wanted("k")).unwrap(),
            Admission::New(vec![])
        );
        assert!(matches!(
            admit(&mut execs, "a", wanted("k")).unwrap(),
            Admission::Known(known) if known.call == "k"
        ));
        let mut other = wanted("k");
        other.spec.command.push("more".into());
        for other in [other, wanted("same digits, another key")] {
            let error = admit(&mut execs, "a", other).unwrap_err();
            assert_eq!(error.code, "call-reused");
        }
        assert_eq!(execs.len(), 1);
    }

    #[test]
    fn so_many_run_at_once_and_the_oldest_that_are_over_are_forgotten() {
        let mut execs = BTreeMap::new();
        for n in 0..MOST_RUNNING {
            // The order of names is not the order in time.
            admit(&mut execs, &format!("{}", 99 - n), wanted("k")).unwrap();
        }
        let full = admit(&mut execs, "x", wanted("k")).unwrap_err();
        assert_eq!(
            (full.code.as_str(), full.kind),
            ("too-many-execs", ErrorKind::Exhausted)
        );
        assert!(matches!(
            admit(&mut execs, "99", wanted("k")).unwrap(),
            Admission::Known(_)
        ));

        for exec in execs.values_mut() {
            end(exec);
        }
        for n in 0..MOST_KEPT - MOST_RUNNING {
            assert_eq!(
                admit(&mut execs, &format!("y{n}"), wanted("k")).unwrap(),
                Admission::New(vec![])
            );
            execs.values_mut().for_each(end);
        }
        let Admission::New(forgotten) = admit(&mut execs, "z", wanted("k")).unwrap() else {
            panic!("it is new");
        };
        assert_eq!(forgotten.len(), 1);
        assert!(!execs.contains_key("99"), "the first that was asked for");
        assert_eq!(execs.len(), MOST_KEPT);
        assert_eq!(execs["z"].number, u64::try_from(MOST_KEPT).unwrap());
    }

    #[test]
    fn only_the_last_signals_are_remembered() {
        let mut exec = wanted("k");
        for n in 0..=MOST_SIGNALS {
            signalled(&mut exec, n.to_string());
        }
        assert_eq!(exec.signals.len(), MOST_SIGNALS);
        assert_eq!(exec.signals[0], "1");
    }
}
