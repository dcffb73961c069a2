//! The cases that are part of the program, in the order in which they are told.
//!
//! A test holds this list against the folder.

use super::Case;

macro_rules! cases {
    ($($name:literal),+ $(,)?) => {
        [$((
            $name,
            include_str!(concat!("../../../../tests/conformance/", $name, "/case.toml")),
        )),+]
    };
}

/// Name and text of each.
pub(super) const TEXTS: [(&str, &str); 61] = cases![
    "describe",
    "fingerprint",
    "lifecycle",
    "never-started",
    "destroy-running",
    "config-off-schema",
    "repeat-create",
    "repeat-start",
    "repeat-stop",
    "repeat-kill",
    "repeat-destroy",
    "repeat-start-one-process",
    "lost-host-create",
    "lost-host-start",
    "lost-host-end",
    "lost-host-handles",
    "recover-states",
    "recover-starts-nothing",
    "recover-garbage",
    "recover-many",
    "exit-zero",
    "exit-three",
    "exit-signal",
    "gone-is-fine",
    "ended-is-fine",
    "kill-ignores",
    "stop-returns",
    "deadlines",
    "generations",
    "list-pages",
    "list-labels",
    "nothing-left",
    "runtime-gone",
    "runtime-back",
    "watch-end",
    "logs-streams",
    "logs-tail",
    "logs-since",
    "logs-cursor",
    "logs-follow",
    "logs-lost-host",
    "input-taken",
    "input-once",
    "input-stopped",
    "exec-output",
    "exec-cursor",
    "exec-once",
    "exec-one-process",
    "exec-input",
    "exec-missing",
    "exec-terminal",
    "exec-lost-host",
    "exec-signal",
    "exec-remove",
    "exec-stopped",
    "exec-ends",
    "signals-taken",
    "signals-reach",
    "signals-unknown",
    "stats-counters",
    "stats-stopped",
];

/// All of them.
///
/// # Errors
/// Never in a program whose tests passed.
pub(crate) fn all() -> Result<Vec<Case>, String> {
    TEXTS
        .into_iter()
        .map(|(name, text)| Case::parse(name, text))
        .collect()
}
