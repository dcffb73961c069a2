//! How many of each, and how large: what no machine could start is refused here and not there.

use fleet_model::Error;
use fleet_model::workload::WorkloadSpec;

use super::{at, escape};

/// Arguments of a command, the program included.
const ARGUMENTS: usize = 16_384;
/// Environment variables.
const VARIABLES: usize = 4_096;
/// Ports.
const PORTS: usize = 64;
/// Labels.
const LABELS: usize = 64;
/// Secrets, in the environment and in files. Their values fit into one message to the node.
const SECRETS: usize = 64;

/// One argument or variable, in bytes, its end included: `MAX_ARG_STRLEN` of Linux.
const ONE_BYTES: usize = 128 * 1024;
/// Command and environment together, in bytes: a quarter of the usual stack of 8 MiB, as execve(2) has it.
const ALL_BYTES: usize = 2 * 1024 * 1024;
/// Of these, what the host and a launcher add.
const HOST_BYTES: usize = 64 * 1024;
/// What one string costs beside its bytes: its end and a pointer.
const REST_BYTES: usize = 1 + 8;

pub(super) fn judge(spec: &WorkloadSpec) -> Vec<Error> {
    let counts = [
        ("/command", "arguments", spec.command.len(), ARGUMENTS),
        ("/env", "variables", spec.env.len(), VARIABLES),
        ("/ports", "ports", spec.ports.len(), PORTS),
        ("/labels", "labels", spec.labels.len(), LABELS),
        ("/env", "secrets", spec.secrets().len(), SECRETS),
    ];
    let mut reasons: Vec<_> = counts
        .into_iter()
        .filter(|(.., count, most)| count > most)
        .map(|(pointer, what, count, most)| at(pointer, too_many(what, count, most)))
        .collect();
    let mut all = HOST_BYTES;
    for (index, argument) in spec.command.iter().enumerate() {
        all += argument.len() + REST_BYTES;
        if argument.len() >= ONE_BYTES {
            reasons.push(at(format!("/command/{index}"), too_large("an argument")));
        }
    }
    for (name, value) in &spec.env {
        let bytes = name.len() + 1 + value.text().map_or(0, str::len);
        all += bytes + REST_BYTES;
        if bytes >= ONE_BYTES {
            let pointer = format!("/env/{}", escape(name));
            reasons.push(at(pointer, too_large("an environment variable")));
        }
    }
    if all > ALL_BYTES {
        let larger = if spec.command.len() > spec.env.len() {
            "/command"
        } else {
            "/env"
        };
        let reason = Error::invalid(
            "start-too-large",
            format!(
                "command and environment have {all} bytes together, with {HOST_BYTES} kept for what the host adds, and Linux starts no \
                 program with more than {ALL_BYTES}: put data into `files` and pass their paths"
            ),
        );
        reasons.push(at(larger, reason));
    }
    reasons
}

fn too_many(what: &str, count: usize, most: usize) -> Error {
    Error::invalid(
        "too-many",
        format!("there are {count} {what}, and a workload has at most {most}: leave some out"),
    )
}

fn too_large(what: &str) -> Error {
    Error::invalid(
        "argument-too-large",
        format!(
            "Linux starts no program with {what} of {ONE_BYTES} bytes or more: put data into `files` and pass their paths"
        ),
    )
}
