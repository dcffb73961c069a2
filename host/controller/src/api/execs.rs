//! `/api/v1/workloads/{name}/execs` and `/api/v1/execs/{id}`: programs beside a workload.
//!
//! A program's id names its workload, and the workload its node: nothing of it is kept here. The
//! client's key makes it one program, however often it is asked for.

use axum::extract::State;
use axum::http::StatusCode;
use fleet_model::exec::{Exec, ExecId, ExecSpec};
use fleet_model::{Error, ErrorKind, signal};
use fleet_protocol::bulk::{BulkStream, ExecCall, Request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Key, Sent};
use super::logs::away;
use super::page::Page;
use super::params::Params;
use super::problem::Problem;
use super::reach::{Reached, reach};
use super::target::Target;
use super::{Api, shorten};
use crate::workload::admit::reserved;

/// The largest program with its arguments and variables, in bytes.
const MAX_BYTES: usize = 128 * 1024;

/// What these requests are about, for people.
const WHAT: &str = "the program";

/// A signal for a program.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Its name, with or without `SIG`.
    #[schema(example = "INT")]
    signal: String,
}

/// A signal that was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Signalled {
    /// The key it was sent under: the same again sends nothing.
    key: String,
}

/// A program that is no more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Removed {
    /// Its id.
    #[schema(value_type = String)]
    id: ExecId,
}

/// Begins a program beside a workload that runs: in its workspace, with its environment and limits.
#[utoipa::path(
    post, path = "/api/v1/workloads/{name}/execs", operation_id = "create_exec", tag = "execs",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same key and body again begin nothing, as long as the workload's program is the same and the exec is remembered.")
    ),
    request_body = ExecSpec,
    responses(
        (status = 201, description = "begun, now or before under the same key", body = Exec),
        (status = "default", description = "a problem: `not-running`, `program-missing`, `program-not-executable`, `too-many-execs`, `call-reused`; 503 while the workload's node is away or the workload is being made", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    params: Params,
    body: Sent<ExecSpec>,
) -> Result<(StatusCode, axum::Json<Exec>), Problem> {
    params.finish()?;
    check(&body.value)?;
    let reached = reach(&api, &name, WHAT)?;
    let call = ExecCall::Start {
        key: text(&api, key),
        spec: body.value,
    };
    let exec = tell(&reached, call).await?;
    Ok((StatusCode::CREATED, axum::Json(exec)))
}

/// The programs beside a workload, those that are over included while they are remembered.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}/execs", operation_id = "list_execs", tag = "execs",
    params(("name" = String, Path, description = "Its id or its name.")),
    responses(
        (status = 200, description = "all, in the order in which they were begun", body = Page<Exec>),
        (status = "default", description = "a problem; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    Target(name): Target,
    params: Params,
) -> Result<axum::Json<Page<Exec>>, Problem> {
    params.finish()?;
    let items = tell(&reach(&api, &name, WHAT)?, ExecCall::List).await?;
    Ok(axum::Json(Page { items, next: None }))
}

/// One program beside a workload.
#[utoipa::path(
    get, path = "/api/v1/execs/{id}", operation_id = "show_exec", tag = "execs",
    params(("id" = String, Path, description = "Its id.")),
    responses(
        (status = 200, description = "what became of it", body = Exec),
        (status = "default", description = "a problem; 503 while its node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn show(
    State(api): State<Api>,
    Target(id): Target,
    params: Params,
) -> Result<axum::Json<Exec>, Problem> {
    params.finish()?;
    let (exec, reached) = reach_exec(&api, &id)?;
    Ok(axum::Json(tell(&reached, ExecCall::Show { exec }).await?))
}

/// Ends a program beside a workload, and forgets it.
#[utoipa::path(
    delete, path = "/api/v1/execs/{id}", operation_id = "remove_exec", tag = "execs",
    params(("id" = String, Path, description = "Its id.")),
    responses(
        (status = 200, description = "it is no more", body = Removed),
        (status = "default", description = "a problem; 503 while its node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Target(id): Target,
    params: Params,
) -> Result<axum::Json<Removed>, Problem> {
    params.finish()?;
    let (exec, reached) = reach_exec(&api, &id)?;
    open(&reached, ExecCall::Remove { exec }).await?;
    Ok(axum::Json(Removed { id: exec }))
}

/// Sends a program beside a workload a signal: to its process group or, on a terminal, to what is in
/// its foreground.
#[utoipa::path(
    post, path = "/api/v1/execs/{id}/signals", operation_id = "signal_exec", tag = "execs",
    params(
        ("id" = String, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same key again sends nothing.")
    ),
    request_body = Wanted,
    responses(
        (status = 200, description = "sent", body = Signalled),
        (status = "default", description = "a problem: `unknown-signal`, `exec-over`; 503 while its node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn send_signal(
    State(api): State<Api>,
    Target(id): Target,
    key: Key,
    params: Params,
    body: Sent<Wanted>,
) -> Result<axum::Json<Signalled>, Problem> {
    params.finish()?;
    let signal = signal::named(&body.value.signal)?.to_owned();
    let (exec, reached) = reach_exec(&api, &id)?;
    let key = text(&api, key);
    let call = ExecCall::Signal {
        exec,
        key: key.clone(),
        signal,
    };
    open(&reached, call).await?;
    Ok(axum::Json(Signalled { key }))
}

/// The client's key, or one made up.
fn text(api: &Api, key: Key) -> String {
    key.into_text()
        .unwrap_or_else(|| format!("{:032x}", api.inner.entropy.bits()))
}

/// The way to a program, by its id.
///
/// # Errors
/// `not-found` (`no-such-exec`); as [`reach`].
pub(super) fn reach_exec(api: &Api, id: &str) -> Result<(ExecId, Reached), Error> {
    let exec: ExecId = id.parse().map_err(|_| {
        Error::not_found(
            "no-such-exec",
            format!(
                "`{}` is no id of a program: `fleet-host workload execs WORKLOAD` lists those there are",
                shorten(id)
            ),
        )
    })?;
    let reached = reach(api, &exec.workload.to_string(), WHAT).map_err(|error| {
        if error.kind != ErrorKind::NotFound {
            return error;
        }
        let message = format!("there is no program `{exec}`: its workload is gone");
        Error::not_found("no-such-exec", message)
    })?;
    Ok((exec, reached))
}

/// Asks the node, and hands out what comes after its agreement.
///
/// # Errors
/// The node's own, or `unavailable` (`node-away`).
pub(super) async fn open(reached: &Reached, call: ExecCall) -> Result<BulkStream, Error> {
    let request = Request::Exec {
        item: reached.item.clone(),
        generation: reached.generation,
        call,
    };
    tokio::select! {
        opened = reached.live.opener.open(&request) => opened,
        () = reached.live.over.cancelled() => Err(away(&reached.node_name, WHAT)),
    }
}

/// Asks the node, and reads its answer.
async fn tell<T: DeserializeOwned>(reached: &Reached, call: ExecCall) -> Result<T, Error> {
    let mut stream = open(reached, call).await?;
    match stream.receive_json().await {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => Err(
            Error::internal("bulk-answer", "the node's answer cannot be read"),
        ),
        Some(Err(_)) | None => Err(away(&reached.node_name, WHAT)),
    }
}

/// What no backend could begin is refused here, with its place in the body.
fn check(spec: &ExecSpec) -> Result<(), Error> {
    let refuse = |code: &str, pointer: &str, message: &str| {
        Err(Error::invalid(code, message).with("pointer", pointer))
    };
    if spec.command.first().is_none_or(String::is_empty) {
        return refuse(
            "command-empty",
            "/command",
            "the command is empty: name a program, as in {\"command\": [\"ls\", \"-l\"]}",
        );
    }
    if spec.command.iter().any(|word| word.contains('\0')) {
        return refuse(
            "invalid-command",
            "/command",
            "the command has a NUL character, which no program can be given",
        );
    }
    let is_variable = |name: &str, value: &str| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    };
    if let Some((name, _)) = spec
        .env
        .iter()
        .find(|(name, value)| !is_variable(name, value))
    {
        let message = format!(
            "`{}` is no variable a program can be given: names have no `=`, and neither name nor value has a NUL character",
            shorten(name)
        );
        return refuse("invalid-variable", "/env", &message);
    }
    if let Some(reserved) = spec.env.keys().find_map(|name| reserved(name)) {
        return Err(reserved.with("pointer", "/env"));
    }
    if spec
        .terminal
        .is_some_and(|size| size.columns == 0 || size.rows == 0)
    {
        return refuse(
            "invalid-terminal",
            "/terminal",
            "a terminal has at least one column and one row: 80 and 24 are usual",
        );
    }
    if spec.timeout_ms == Some(0) {
        return refuse(
            "invalid-timeout",
            "/timeout_ms",
            "a program cannot end before it began: give it more time, or leave the limit out for none",
        );
    }
    let variables = spec
        .env
        .iter()
        .map(|(name, value)| name.len() + value.len());
    let bytes: usize = spec.command.iter().map(String::len).chain(variables).sum();
    if bytes > MAX_BYTES {
        let message = format!(
            "the command and its variables are {bytes} bytes; at most {MAX_BYTES} fit: put a long script into a file of the workload, or on the program's input"
        );
        return Err(Error::invalid("exec-too-large", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_backend_could_begin_is_refused() {
        let of = |body| check(&serde_json::from_value(body).unwrap());
        assert!(of(json!({"command": ["ls"], "env": {"A": ""}, "timeout_ms": 1})).is_ok());
        assert!(of(json!({"command": ["sh", "-c", "x".repeat(100_000)]})).is_ok());
        for (body, code) in [
            (json!({"command": []}), "command-empty"),
            (json!({"command": [""]}), "command-empty"),
            (json!({"command": ["a\u{0}b"]}), "invalid-command"),
            (
                json!({"command": ["a"], "env": {"A=B": ""}}),
                "invalid-variable",
            ),
            (
                json!({"command": ["a"], "env": {"": ""}}),
                "invalid-variable",
            ),
            (
                json!({"command": ["a"], "env": {"A": "\u{0}"}}),
                "invalid-variable",
            ),
            (
                json!({"command": ["a"], "env": {"PORT_HTTP": "1"}}),
                "reserved-env-name",
            ),
            (
                json!({"command": ["a"], "terminal": {"columns": 0, "rows": 1}}),
                "invalid-terminal",
            ),
            (
                json!({"command": ["a"], "timeout_ms": 0}),
                "invalid-timeout",
            ),
            (
                json!({"command": ["a", "x".repeat(MAX_BYTES)]}),
                "exec-too-large",
            ),
        ] {
            assert_eq!(of(body.clone()).unwrap_err().code, code, "{code}");
        }
    }
}
