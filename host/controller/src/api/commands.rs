//! `/api/v1/workloads/{name}/commands`: a command for a workload's input.
//!
//! The command goes to the workload's node and is answered when it is durable there. The key makes
//! it one command, however often it is sent and whatever is killed in between: the node's keeper of
//! the program claims it by that key.

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_model::Error;
use fleet_model::workload::{Desired, WorkloadIntent};
use fleet_protocol::bulk::Request;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::body::{Key, Sent};
use super::logs::away;
use super::params::Params;
use super::problem::Problem;
use super::target::Target;
use crate::workload::find;

/// The largest command, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// A command: exactly one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// The bytes to be written to the program's input, as text. A program that reads lines needs the
    /// line feed at its end.
    #[serde(default)]
    text: Option<String>,
    /// The bytes, in base64.
    #[serde(default)]
    base64: Option<String>,
}

/// A command that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Taken {
    /// Its key: the client's, or one made up. The same key again gives the program nothing twice.
    key: String,
}

/// Gives a workload a command on its input, once per key.
#[utoipa::path(
    post, path = "/api/v1/workloads/{name}/commands", operation_id = "send_command", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same key and command again are answered as before, and the program gets nothing twice.")
    ),
    request_body = Command,
    responses(
        (status = 200, description = "durable at its node, to be written to the program's input in order", body = Taken),
        (status = "default", description = "a problem: `not-running`, `no-input`, `input-full`; 503 while the workload's node is away or the workload is being made, at once with `restarting` and `retry_after_ms` where it is made again only after a long pause", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn send(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    params: Params,
    body: Result<Sent<Command>, Problem>,
) -> Result<axum::Json<Taken>, Problem> {
    params.finish()?;
    let base64 = content(body.map_err(own_limit)?.value)?;
    let found = find(&api.inner.store.snapshot().state, &name)?;
    let wanted = WorkloadIntent::deserialize(&found.item.intent)
        .is_ok_and(|intent| intent.desired == Desired::Running);
    if found.item.is_tombstone() || !wanted {
        return Err(Error::conflict(
            "not-running",
            format!(
                "workload `{name}` is not to run: start it with `fleet-host workload start {name}`"
            ),
        )
        .into());
    }
    let node = found
        .node
        .as_ref()
        .map_or_else(|| found.at.node.to_string(), |node| node.name.clone());
    let live = api
        .inner
        .registry
        .get(found.at.node)
        .ok_or_else(|| away(&node, "the workload"))?;
    let key = key
        .into_text()
        .unwrap_or_else(|| format!("{:032x}", api.inner.entropy.bits()));
    let request = Request::Send {
        item: found.item.id.clone(),
        generation: found.item.generation,
        call: key.clone(),
        base64,
    };
    tokio::select! {
        sent = live.opener.open(&request) => drop(sent?),
        () = live.over.cancelled() => return Err(away(&node, "the workload").into()),
    }
    Ok(axum::Json(Taken { key }))
}

/// A body beyond the limit of all bodies is beyond that of a command, which is what helps to know.
fn own_limit(problem: Problem) -> Problem {
    if problem.code == "body-too-large" {
        Problem::with_status(problem.status, too_large("the command"))
    } else {
        problem
    }
}

fn too_large(what: impl std::fmt::Display) -> Error {
    Error::invalid(
        "command-too-large",
        format!("{what} is too large; at most {MAX_BYTES} bytes fit: put large data into a file"),
    )
    .with("limit_bytes", MAX_BYTES)
}

fn content(command: Command) -> Result<String, Error> {
    let (base64, bytes) = match (command.text, command.base64) {
        (Some(text), None) => (STANDARD.encode(&text), text.len()),
        (None, Some(base64)) => {
            let bytes = STANDARD.decode(&base64).map_err(|error| {
                Error::invalid("invalid-body", format!("`base64` is not base64: {error}"))
                    .with("pointer", "/base64")
            })?;
            (base64, bytes.len())
        }
        _ => {
            return Err(Error::invalid(
                "invalid-body",
                "a command has exactly one of `text` and `base64`",
            ));
        }
    };
    match bytes {
        0 => Err(Error::invalid(
            "command-empty",
            "the command is empty: send at least one byte",
        )),
        1..=MAX_BYTES => Ok(base64),
        _ => Err(too_large(format_args!("the command of {bytes} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_text_or_bytes_of_a_size_that_fits() {
        let of = |text: Option<String>, base64: Option<&str>| {
            content(Command {
                text,
                base64: base64.map(str::to_owned),
            })
        };
        assert_eq!(of(Some("hi\n".into()), None).unwrap(), "aGkK");
        assert_eq!(of(None, Some("/wA=")).unwrap(), "/wA=");
        for (command, code) in [
            (of(None, None), "invalid-body"),
            (of(Some("a".into()), Some("AA==")), "invalid-body"),
            (of(None, Some("?")), "invalid-body"),
            (of(Some(String::new()), None), "command-empty"),
            (
                of(Some("x".repeat(MAX_BYTES + 1)), None),
                "command-too-large",
            ),
        ] {
            assert_eq!(command.unwrap_err().code, code);
        }
    }
}
