//! Changes that need no bytes. They are made at the node; that one was made is kept here under its key,
//! so that a lost answer is given again. Requests with one key take turns: of two that come at once one makes
//! the change and both are told of it.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::Response;
use fleet_model::Error;
use fleet_protocol::file::{FileCall, Reply};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Api;
use super::super::body::Key;
use super::super::params::{Flag, Params};
use super::super::problem::Problem;
use super::super::target::Target;
use super::super::workloads::answer;
use super::ask::{ask, foreign};
use super::required;
use crate::idempotency::{Answer, Keyed};

/// What was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed {
    /// Its path, the new one where it was moved.
    path: String,
}

/// Makes a folder, and those above it that are missing. Fine when it is there.
#[utoipa::path(
    post, path = "/api/v1/workloads/{name}/files/folders", operation_id = "make_folder", tag = "files",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("path" = String, Query, description = "The folder."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same request within 24 hours gets the same answer.")
    ),
    responses(
        (status = 200, description = "it is there, durably", body = Changed),
        (status = "default", description = "a problem: `outside-workspace`, `not-a-folder`; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn make_folder(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    mut params: Params,
) -> Result<Response, Problem> {
    let path = required(&mut params, "path")?;
    params.finish()?;
    let call = FileCall::MakeFolder { path: path.clone() };
    once(&api, &name, key, call, Changed { path }).await
}

/// Gives something another path. The folder it goes to must be there.
#[utoipa::path(
    post, path = "/api/v1/workloads/{name}/files/move", operation_id = "move_file", tag = "files",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("from" = String, Query, description = "Where it is."),
        ("to" = String, Query, description = "Where it is to be."),
        ("replace" = Option<bool>, Query, description = "Replace a file that is there; a folder never is."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same request within 24 hours gets the same answer.")
    ),
    responses(
        (status = 200, description = "moved, durably", body = Changed),
        (status = "default", description = "a problem: `outside-workspace`, `no-such-file`, `file-in-the-way`, `is-a-folder`, `into-itself`; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn rename(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    mut params: Params,
) -> Result<Response, Problem> {
    let (from, to) = (required(&mut params, "from")?, required(&mut params, "to")?);
    let replace = params.flag("replace")? == Flag::Set;
    params.finish()?;
    let call = FileCall::Move {
        from,
        to: to.clone(),
        replace,
    };
    once(&api, &name, key, call, Changed { path: to }).await
}

/// Removes a file, a link or an empty folder; a full one with `recursive`.
#[utoipa::path(
    delete, path = "/api/v1/workloads/{name}/files", operation_id = "remove_file", tag = "files",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("path" = String, Query, description = "What goes. Of a link only the link does."),
        ("recursive" = Option<bool>, Query, description = "A folder with all that is in it, too."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same request within 24 hours gets the same answer.")
    ),
    responses(
        (status = 200, description = "removed, durably", body = Changed),
        (status = "default", description = "a problem: `outside-workspace`, `no-such-file`, `folder-not-empty`; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn remove(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    mut params: Params,
) -> Result<Response, Problem> {
    let path = required(&mut params, "path")?;
    let recursive = params.flag("recursive")? == Flag::Set;
    params.finish()?;
    let call = FileCall::Remove {
        path: path.clone(),
        recursive,
    };
    once(&api, &name, key, call, Changed { path }).await
}

/// Makes a change, or answers as before. It is made to its end also when whoever asked goes away: then
/// they ask again, and must find what was answered.
async fn once(
    api: &Api,
    name: &str,
    key: Key,
    call: FileCall,
    changed: Changed,
) -> Result<Response, Problem> {
    let Some(keyed) = key.bind(&[]) else {
        return Ok(answer(made(api, name, call, &changed).await?));
    };
    let (api, name) = (api.clone(), name.to_owned());
    let making = tokio::spawn(async move { keyed_once(&api, &name, keyed, call, &changed).await });
    Ok(answer(making.await.map_err(|_| cut_short())??))
}

/// One request at a time under each key: the second finds the first one's answer.
async fn keyed_once(
    api: &Api,
    name: &str,
    keyed: Keyed,
    call: FileCall,
    changed: &Changed,
) -> Result<Answer, Problem> {
    let turn = api.inner.turns.of(keyed.key());
    let _turn = turn.lock().await;
    let earlier = api
        .inner
        .earlier(&api.inner.store.snapshot().state, Some(&keyed))?;
    if let Some(earlier) = earlier {
        return Ok(earlier);
    }
    let made = made(api, name, call, changed).await?;
    let (kept, at_ms) = (made.clone(), api.inner.clock.unix_ms());
    let written = api.inner.store.write(move |tx| {
        keyed.keep(tx, &kept, at_ms);
        Ok::<(), Infallible>(())
    });
    if let Err(error) = written.await {
        // The change is made all the same; only a lost answer could not be given again.
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "an answer cannot be kept"
        );
    }
    Ok(made)
}

/// Has the node make a change.
async fn made(api: &Api, name: &str, call: FileCall, changed: &Changed) -> Result<Answer, Problem> {
    match ask(api, name, call).await? {
        Reply::Done => Ok(Answer {
            status: 200,
            body: serde_json::to_string(changed).unwrap_or_default(),
        }),
        _ => Err(foreign()),
    }
}

fn cut_short() -> Error {
    Error::internal("files", "a change of files was cut short: ask again")
}
