//! What a guest tells the host.

use fleet_model::driver::{
    Creation, Description, Exit, Fingerprint, Handle, KillTarget, Listed, Observation, RunState,
};
use fleet_model::exec::ExecState;
use fleet_model::stats::Usage;
use fleet_model::{Error, ErrorKind, Generation};

use super::{Intake, MAX_HANDLE, MAX_SCHEMA, MAX_TEXT, MAX_TOKEN, bad_answer, token};
use crate::bindings::exports::fleet::backend::{driver, exec, stats};
use crate::bindings::fleet::common::types as wit;

/// The longest name of a signal.
const MAX_SIGNAL: usize = 32;

/// How many of anything one answer may name.
const MAX_LIST: usize = 10_000;

pub(crate) fn error(intake: Intake<'_>, error: wit::Error) -> Error {
    Error {
        kind: kind(error.kind),
        code: code(intake.text(error.code, MAX_TOKEN)),
        message: intake.text(error.message, MAX_TEXT),
        retry_after_ms: error.retry_after_ms,
        details: intake.attributes(error.details),
    }
}

/// A code is for programs: what is not kebab-case is not one.
fn code(code: String) -> String {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=64).contains(&code.len()) && code.chars().all(good) {
        code
    } else {
        "plugin-error".to_owned()
    }
}

fn kind(kind: wit::ErrorKind) -> ErrorKind {
    match kind {
        wit::ErrorKind::Invalid => ErrorKind::Invalid,
        wit::ErrorKind::NotFound => ErrorKind::NotFound,
        wit::ErrorKind::Conflict => ErrorKind::Conflict,
        wit::ErrorKind::Denied => ErrorKind::Denied,
        wit::ErrorKind::Unsupported => ErrorKind::Unsupported,
        wit::ErrorKind::Unavailable => ErrorKind::Unavailable,
        wit::ErrorKind::Deadline => ErrorKind::Deadline,
        wit::ErrorKind::Exhausted => ErrorKind::Exhausted,
        wit::ErrorKind::Internal => ErrorKind::Internal,
        wit::ErrorKind::Other => ErrorKind::Other,
    }
}

pub(crate) fn handle(handle: wit::Handle) -> Result<Handle, Error> {
    if handle.opaque.len() > MAX_HANDLE {
        return Err(bad_answer(format!(
            "a handle has {} bytes, at most {MAX_HANDLE} are allowed: keep in it only what finds the runtime again",
            handle.opaque.len()
        )));
    }
    Ok(Handle {
        schema: handle.schema,
        opaque: handle.opaque,
    })
}

pub(crate) fn description(
    intake: Intake<'_>,
    description: driver::Description,
) -> Result<Description, Error> {
    let schema = description.config_schema;
    if schema.len() > MAX_SCHEMA {
        return Err(bad_answer(format!(
            "the config schema has {} bytes, at most {MAX_SCHEMA} are allowed",
            schema.len()
        )));
    }
    let config_schema = serde_json::from_str(&schema).map_err(|error| {
        bad_answer(format!(
            "the config schema is not JSON: {error}: give it as the text of a JSON Schema"
        ))
    })?;
    if description.reads.len() > MAX_LIST {
        return Err(bad_answer(format!(
            "{} handle schemas",
            description.reads.len()
        )));
    }
    Ok(Description {
        name: super::text(description.name, MAX_TEXT),
        version: super::text(description.version, MAX_TEXT),
        handle_schema: description.handle_schema,
        reads: description.reads,
        config_schema,
        attributes: intake.attributes(description.attributes),
    })
}

pub(crate) fn fingerprint(intake: Intake<'_>, found: driver::Facilities) -> Fingerprint {
    Fingerprint {
        unusable: found.unusable.map(|why| intake.text(why, MAX_TEXT)),
        attributes: intake.attributes(found.attributes),
    }
}

pub(crate) fn creation(intake: Intake<'_>, creation: driver::Creation) -> Result<Creation, Error> {
    match creation {
        driver::Creation::Ready(created) => Ok(Creation::Ready {
            handle: handle(created.handle)?,
            kill_target: created
                .kill_target
                .map(|target| kill_target(intake, target))
                .transpose()?,
        }),
        driver::Creation::Pending(progress) => Ok(Creation::Pending {
            message: intake.text(progress.message, MAX_TEXT),
            done: progress.done,
            retry_after_ms: progress.retry_after_ms,
        }),
        driver::Creation::Other(what) => {
            Err(unknown_answer("create", &intake.text(what, MAX_TEXT)))
        }
    }
}

/// What became of a program beside a workload.
pub(crate) fn exec_state(intake: Intake<'_>, state: exec::State) -> ExecState {
    match state {
        exec::State::Running => ExecState::Running,
        exec::State::Exited(exit) => ExecState::Exited {
            exit: Exit {
                code: exit.code,
                signal: exit.signal.map(|signal| intake.text(signal, MAX_SIGNAL)),
                at_ms: exit.at_ms,
            },
            timed_out: false,
        },
        exec::State::Lost(reason) => ExecState::Lost {
            reason: intake.text(reason, MAX_TEXT),
        },
        exec::State::Other(what) => ExecState::Lost {
            reason: format!(
                "the plugin says `{}`, which this version of the host does not know",
                intake.text(what, MAX_TEXT)
            ),
        },
    }
}

pub(crate) fn usage(sample: &stats::Sample) -> Usage {
    Usage {
        cpu_us: sample.cpu_us,
        memory_bytes: sample.memory_bytes,
        processes: sample.processes,
        read_bytes: sample.read_bytes,
        written_bytes: sample.written_bytes,
    }
}

fn unknown_answer(verb: &str, what: &str) -> Error {
    Error::unsupported(
        "unknown-answer",
        format!(
            "the plugin answered `{verb}` with `{what}`, which this version of the host does not know"
        ),
    )
}

/// What a guard may end by itself must at least not be the machine.
fn kill_target(intake: Intake<'_>, target: driver::KillTarget) -> Result<KillTarget, Error> {
    match target {
        driver::KillTarget::Cgroup(path) => {
            let path = token(path, "a kill target")?;
            let deep = path.starts_with('/')
                && path.split('/').filter(|part| !part.is_empty()).count() >= 4;
            if !deep || path.split('/').any(|part| part == "..") {
                return Err(bad_answer(format!(
                    "the kill target `{}` is not the absolute path of a cgroup",
                    intake.text(path, MAX_TOKEN)
                )));
            }
            Ok(KillTarget::Cgroup { path })
        }
        driver::KillTarget::Process((pid, start_ticks)) if pid > 1 => {
            Ok(KillTarget::Process { pid, start_ticks })
        }
        driver::KillTarget::Process((pid, _)) => {
            Err(bad_answer(format!("process {pid} cannot be a kill target")))
        }
        driver::KillTarget::Other(what) => Ok(KillTarget::Other {
            text: intake.text(what, MAX_TOKEN),
        }),
    }
}

pub(crate) fn observation(intake: Intake<'_>, observation: driver::Observation) -> Observation {
    Observation {
        state: run_state(intake, observation.state),
        started_at_ms: observation.started_at_ms,
        attributes: intake.attributes(observation.attributes),
    }
}

fn run_state(intake: Intake<'_>, state: driver::RunState) -> RunState {
    match state {
        driver::RunState::Created => RunState::Created,
        driver::RunState::Running => RunState::Running,
        driver::RunState::Exited(exit) => RunState::Exited {
            exit: Exit {
                code: exit.code,
                signal: exit.signal.map(|name| intake.text(name, 32)),
                at_ms: exit.at_ms,
            },
        },
        driver::RunState::Lost(reason) => RunState::Lost {
            reason: intake.text(reason, MAX_TEXT),
        },
        driver::RunState::Unknown(reason) => RunState::Unknown {
            reason: intake.text(reason, MAX_TEXT),
        },
        driver::RunState::Other(what) => RunState::Unknown {
            reason: format!(
                "the plugin says `{}`, which this version of the host does not know",
                intake.text(what, MAX_TEXT)
            ),
        },
    }
}

/// One observation for each handle, in order.
pub(crate) fn recovered(
    intake: Intake<'_>,
    asked: usize,
    answers: Vec<driver::Observation>,
) -> Result<Vec<Observation>, Error> {
    if answers.len() != asked {
        return Err(bad_answer(format!(
            "`recover` was asked about {asked} handles and answered {}",
            answers.len()
        )));
    }
    Ok(answers
        .into_iter()
        .map(|answer| observation(intake, answer))
        .collect())
}

pub(crate) fn listing(
    intake: Intake<'_>,
    limit: u32,
    listing: driver::Listing,
) -> Result<(Vec<Listed>, Option<String>), Error> {
    if listing.entries.len() > usize::try_from(limit).unwrap_or(MAX_LIST).min(MAX_LIST) {
        return Err(bad_answer(format!(
            "`list` was asked for {limit} entries and answered {}",
            listing.entries.len()
        )));
    }
    let entries = listing.entries.into_iter().map(|entry| {
        Ok(Listed {
            handle: handle(entry.handle)?,
            workload: intake.text(token(entry.workload, "a workload")?, MAX_TOKEN),
            node: intake.text(token(entry.node, "a node")?, MAX_TOKEN),
            generation: Generation(entry.generation),
        })
    });
    let next = listing
        .next
        .map(|cursor| token(cursor, "a cursor"))
        .transpose()?;
    Ok((entries.collect::<Result<_, Error>>()?, next))
}

#[cfg(test)]
mod tests {
    use fleet_capability::Redactor;

    use super::*;

    fn with<T>(read: impl FnOnce(Intake<'_>) -> T) -> T {
        read(Intake(&Redactor::default()))
    }

    fn wit_handle(bytes: usize) -> wit::Handle {
        wit::Handle {
            schema: 1,
            opaque: vec![0; bytes],
        }
    }

    #[test]
    fn a_handle_that_is_too_large_is_the_plugins_bug() {
        assert!(handle(wit_handle(MAX_HANDLE)).is_ok());
        let error = handle(wit_handle(MAX_HANDLE + 1)).unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Internal, "bad-answer")
        );
        assert!(error.message.contains("65537"), "{error}");
    }

    #[test]
    fn an_error_is_cut_and_its_code_stays_a_code() {
        let wit = |code: &str| wit::Error {
            kind: wit::ErrorKind::Exhausted,
            code: code.to_owned(),
            message: "m".repeat(1 << 20),
            retry_after_ms: Some(7),
            details: vec![("a".into(), "b".into())],
        };
        let error = |error| with(|intake| super::error(intake, error));
        let seen = error(wit("disk-full"));
        assert_eq!(
            (seen.kind, seen.code.as_str(), seen.retry_after_ms),
            (ErrorKind::Exhausted, "disk-full", Some(7))
        );
        assert!(seen.message.len() <= MAX_TEXT);
        for bad in ["", "Disk Full", "a\nb", &"x".repeat(65)] {
            assert_eq!(error(wit(bad)).code, "plugin-error", "{bad}");
        }
    }

    #[test]
    fn a_guard_is_never_pointed_at_the_machine() {
        use driver::KillTarget as Wit;
        for (target, good) in [
            (Wit::Cgroup("/sys/fs/cgroup/fleet/wl_1".into()), true),
            (Wit::Cgroup("/".into()), false),
            (Wit::Cgroup("/sys/fs/cgroup".into()), false),
            (Wit::Cgroup("sys/fs/cgroup/a".into()), false),
            (Wit::Cgroup("/sys/fs/cgroup/a/../..".into()), false),
            (Wit::Process((1, 0)), false),
            (Wit::Process((0, 0)), false),
            (Wit::Process((4711, 12)), true),
            (Wit::Other("later".into()), true),
        ] {
            let shown = format!("{target:?}");
            let read = with(|intake| kill_target(intake, target));
            assert_eq!(read.is_ok(), good, "{shown}");
        }
    }

    #[test]
    fn answers_that_do_not_match_their_question_are_refused() {
        assert!(with(|intake| recovered(intake, 1, vec![])).is_err());
        let listing = |limit, page| with(|intake| super::listing(intake, limit, page));
        let entry = || driver::Listed {
            handle: wit_handle(1),
            workload: "wl".into(),
            node: "nd".into(),
            generation: 3,
        };
        let page = |n: usize| driver::Listing {
            entries: (0..n).map(|_| entry()).collect(),
            next: None,
        };
        assert_eq!(listing(2, page(2)).unwrap().0.len(), 2);
        assert!(listing(2, page(3)).is_err());
        let endless = driver::Listing {
            entries: vec![],
            next: Some("c".repeat(super::super::MAX_TOKEN + 1)),
        };
        assert!(listing(2, endless).is_err());
    }

    #[test]
    fn a_schema_must_be_json() {
        let described = |schema: &str| {
            let said = driver::Description {
                name: "a".into(),
                version: "1".into(),
                handle_schema: 1,
                reads: vec![1],
                config_schema: schema.into(),
                attributes: vec![],
            };
            with(|intake| description(intake, said))
        };
        assert!(described("{}").is_ok());
        assert!(described("{").unwrap_err().message.contains("not JSON"));
        assert!(described(&format!("\"{}\"", "x".repeat(MAX_SCHEMA))).is_err());
    }
}
