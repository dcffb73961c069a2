//! What it means when the engine does not do what it was asked.
//!
//! An engine tells most of it in words. Those that decide what happens next are looked for here, in one
//! table; everything else is shown as it came.

use fleet_sdk::{Error, ErrorKind};

use crate::answer::Answer;

/// What was being done: the same words can mean different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Create,
    Pull,
    Start,
    Other,
}

/// One row: where it can be said, words in lower case, what they mean, what to do.
struct Row(
    &'static [Doing],
    &'static str,
    ErrorKind,
    &'static str,
    &'static str,
);

const ANY: &[Doing] = &[Doing::Create, Doing::Pull, Doing::Start, Doing::Other];
const MAKING: &[Doing] = &[Doing::Create, Doing::Pull];
const PULL: &[Doing] = &[Doing::Pull];
const CREATE: &[Doing] = &[Doing::Create];
const START: &[Doing] = &[Doing::Start];

/// The first row with words of the message counts.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row(ANY, "no space left on device", ErrorKind::Exhausted, "engine-disk-full", "free space in the engine's data folder"),
    Row(ANY, "disk quota exceeded", ErrorKind::Exhausted, "engine-disk-full", "free space in the engine's data folder"),
    Row(MAKING, "invalid reference format", ErrorKind::Invalid, "image-reference", "write `image` as NAME:TAG, in lower case"),
    Row(MAKING, "could not parse", ErrorKind::Invalid, "image-reference", "write `image` as NAME:TAG, in lower case"),
    Row(PULL, "pull access denied", ErrorKind::NotFound, "image-missing", "correct `image`, or load the image into the engine"),
    Row(PULL, "manifest unknown", ErrorKind::NotFound, "image-missing", "correct `image`, or load the image into the engine"),
    Row(PULL, "manifest for", ErrorKind::NotFound, "image-missing", "correct `image`, or load the image into the engine"),
    Row(PULL, "not found", ErrorKind::NotFound, "image-missing", "correct `image`, or load the image into the engine"),
    Row(PULL, "no matching manifest", ErrorKind::NotFound, "image-platform", "use an image for this machine's processor"),
    Row(PULL, "toomanyrequests", ErrorKind::Exhausted, "registry-limit", "wait, or load the image into the engine"),
    Row(PULL, "unauthorized", ErrorKind::Denied, "registry-denied", "load the image into the engine: registries are used without a login"),
    Row(PULL, "no basic auth credentials", ErrorKind::Denied, "registry-denied", "load the image into the engine: registries are used without a login"),
    Row(PULL, "no such host", ErrorKind::Unavailable, "registry-unreachable", "connect the machine to the registry, or load the image into the engine"),
    Row(PULL, "connection refused", ErrorKind::Unavailable, "registry-unreachable", "connect the machine to the registry, or load the image into the engine"),
    Row(PULL, "timeout", ErrorKind::Unavailable, "registry-unreachable", "connect the machine to the registry, or load the image into the engine"),
    Row(PULL, "dial tcp", ErrorKind::Unavailable, "registry-unreachable", "connect the machine to the registry, or load the image into the engine"),
    Row(CREATE, "no command specified", ErrorKind::Invalid, "command-missing", "the image names no program: put one after `--`, or into `command` of the workload file"),
    // Docker before 23, killed while it started this one; newer ones clean up by themselves.
    Row(START, ": already exists", ErrorKind::Unavailable, "engine-leftover", "nothing is started beside what an engine that was killed has left of this container: see that no process of it runs, then remove the workload and run it again"),
    Row(START, "file exists", ErrorKind::Unavailable, "engine-leftover", "nothing is started beside what an engine that was killed has left of this container: see that no process of it runs, then remove the workload and run it again"),
    Row(START, "docker-init", ErrorKind::Unsupported, "init-missing", "the engine has no init: install its `docker-init` (tini), or set `init = false` in `[config]`"),
    Row(START, "executable file not found", ErrorKind::Invalid, "program-missing", "correct `command`, or use an image that has the program"),
    Row(START, "no such file or directory", ErrorKind::Invalid, "program-missing", "correct `command`, or use an image that has the program"),
    Row(START, "unable to find user", ErrorKind::Invalid, "user-missing", "correct `user` in `[config]`"),
    Row(START, "unable to find group", ErrorKind::Invalid, "user-missing", "correct `user` in `[config]`"),
    Row(START, "permission denied", ErrorKind::Invalid, "program-not-executable", "make the program executable in the image"),
    Row(START, "port is already allocated", ErrorKind::Conflict, "port-taken", "stop what listens on that port, or let the node pick one (port 0)"),
    Row(START, "address already in use", ErrorKind::Conflict, "port-taken", "stop what listens on that port, or let the node pick one (port 0)"),
];

/// The error for an answer that is not what was asked for.
pub(crate) fn error(doing: Doing, answer: &Answer) -> Error {
    told(doing, answer.status, &answer.message())
}

/// The same for words that came another way than as an answer: as a line of a pull's progress.
pub(crate) fn told(doing: Doing, status: u16, message: &str) -> Error {
    let words = message.to_lowercase();
    let known = ROWS
        .iter()
        .find(|Row(when, part, ..)| when.contains(&doing) && words.contains(part));
    if let Some(Row(_, _, kind, code, remedy)) = known {
        return Error::new(*kind, *code, format!("{message}: {remedy}"));
    }
    if doing == Doing::Pull {
        return unfetched(status, message);
    }
    let (kind, code) = match status {
        400 => (ErrorKind::Invalid, "engine-refused"),
        401 | 403 => (ErrorKind::Denied, "engine-denied"),
        404 => (ErrorKind::NotFound, "container-gone"),
        409 => (ErrorKind::Conflict, "engine-conflict"),
        429 => (ErrorKind::Exhausted, "engine-busy"),
        500..=599 => (ErrorKind::Unavailable, "engine-failed"),
        _ => (ErrorKind::Unavailable, "engine-answer"),
    };
    Error::new(kind, code, format!("the engine says: {message}"))
}

/// What the status says of a pull. The shipped policy lets no words of one through.
#[rustfmt::skip]
fn unfetched(status: u16, message: &str) -> Error {
    let (kind, code, remedy) = match status {
        400 => (ErrorKind::Invalid, "image-reference", "write `image` as NAME:TAG, in lower case"),
        401 | 403 => (ErrorKind::Denied, "registry-denied", "load the image into the engine: registries are used without a login"),
        404 => (ErrorKind::NotFound, "image-missing", "no registry has it for everybody: correct `image`, or load the image into the engine"),
        429 => (ErrorKind::Exhausted, "registry-limit", "wait, or load the image into the engine"),
        _ => (ErrorKind::Unavailable, "pull-failed", "`docker pull` says why; see that the machine reaches the registry and that the engine's data folder has room, or load the image into the engine"),
    };
    Error::new(kind, code, format!("the engine says: {message}: {remedy}"))
}

/// The error of a request that was not answered. Where the host says that nobody owns the id, there is no such
/// thing of this plugin's: it was removed, and what is asked of it again finds nothing. Any other refusal tells
/// nothing of what there is. What is too large for the policy is the workload's fault. Where nobody listens, it is said who
/// should.
pub(crate) fn unsent(error: Error) -> Error {
    if matches!(error.code.as_str(), "no-endpoint" | "endpoint-permission") {
        return Error {
            message: format!("the engine cannot be reached: {}", error.message),
            ..error
        };
    }
    let said = |name: &str, value: &str| {
        let mut details = error.details.iter();
        details.any(|detail| (detail.0.as_str(), detail.1.as_str()) == (name, value))
    };
    let is_refused = error.kind == ErrorKind::Denied && error.code == "refused-by-rule";
    if is_refused && said("why", "not-owned") {
        return Error {
            kind: ErrorKind::NotFound,
            code: "container-gone".to_owned(),
            ..error
        };
    }
    let in_bytes =
        |(name, value): &(String, String)| name == "allowed" && value.ends_with(" bytes");
    if is_refused && said("at", "body") && error.details.iter().any(in_bytes) {
        return Error {
            kind: ErrorKind::Invalid,
            code: "start-too-large".to_owned(),
            message: format!(
                "command, environment and labels are too large: put some of it into files: {}",
                error.message
            ),
            ..error
        };
    }
    error
}

/// Whether a create was refused because the engine does not have the image.
pub(crate) fn is_no_image(answer: &Answer) -> bool {
    answer.status == 404
}

#[cfg(test)]
mod tests;
