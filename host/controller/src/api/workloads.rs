//! `/api/v1/workloads`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use fleet_model::quantity::Span;
use fleet_model::workload::{Workload, WorkloadSpec, WorkloadState};
use fleet_model::{Error, Label, WorkloadId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::body::{Key, Sent};
use super::page::{self, Page};
use super::params::{Flag, Params};
use super::problem::Problem;
use super::target::Target;
use crate::idempotency::Answer;
use crate::workload::{Admission, Found, Verb, find, view};

/// How a stop should go.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// How long it may take before it becomes a kill, in milliseconds; absent = as before, 10,000 at first.
    #[serde(default)]
    grace_ms: Option<u64>,
}

/// How much longer a workload may exist.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Extend {
    /// What is added to its end, 1s to 10years.
    #[schema(value_type = String, example = "1h 30m")]
    ttl: Span,
}

/// Nothing to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Workloads, oldest first.
#[utoipa::path(
    get, path = "/api/v1/workloads", operation_id = "list_workloads", tag = "workloads",
    params(
        ("limit" = Option<u32>, Query, description = "Entries on the page, 1 to 500; 100 if absent."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
        ("label" = Option<Vec<String>>, Query, description = "`KEY=VALUE`: only workloads with this label; repeat it for several."),
        ("state" = Option<WorkloadState>, Query, description = "Only workloads in this state.")
    ),
    responses((status = 200, description = "a page of workloads", body = Page<Workload>), (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem))
)]
pub(super) async fn list(
    State(api): State<Api>,
    mut params: Params,
) -> Result<axum::Json<Page<Workload>>, Problem> {
    let limit = page::limit(&mut params)?;
    let after = params.read::<WorkloadId>("cursor", "`next` of the page before")?;
    let labels = params
        .all("label")
        .iter()
        .map(|text| label(text))
        .collect::<Result<Vec<_>, _>>()?;
    let state = params.text("state")?.map(|text| state(&text)).transpose()?;
    params.finish()?;

    let snapshot = api.inner.store.snapshot();
    let rows = snapshot
        .state
        .workloads
        .values()
        .filter(|row| after.is_none_or(|after| row.id > after));
    let mut items = Vec::new();
    for row in rows {
        let found = Found::at(&snapshot.state, row)?;
        let workload = view(&found, api.inner.registry.reach(row.node))?;
        let fits = labels
            .iter()
            .all(|(key, value)| workload.labels.get(key) == Some(value));
        if fits && state.is_none_or(|state| workload.state == state) {
            items.push(workload);
        }
        // One more than asked for tells whether there is a next page.
        if items.len() > limit {
            break;
        }
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items
        .last()
        .filter(|_| has_more)
        .map(|last| last.id.to_string());
    Ok(axum::Json(Page { items, next }))
}

/// Runs a program. With `dry_run` it is judged, all there is against it is said, and nothing changes.
#[utoipa::path(
    post, path = "/api/v1/workloads", operation_id = "create_workload", tag = "workloads",
    params(
        ("dry_run" = Option<bool>, Query, description = "Say what would become of it, and let nothing become of it; an Idempotency-Key means nothing then."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same key and body within 24 hours give the same answer and one workload.")
    ),
    request_body = WorkloadSpec,
    responses(
        (status = 201, description = "accepted, and durable", body = Workload),
        (status = 200, description = "a dry run's answer, whether or not it would be accepted", body = Admission),
        (status = "default", description = "a problem; `reasons` has all of them where there are several", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    key: Key,
    mut params: Params,
    body: Sent<WorkloadSpec>,
) -> Result<Response, Problem> {
    let dry_run = params.flag("dry_run")?;
    params.finish()?;
    if dry_run == Flag::Set {
        return Ok(axum::Json(api.inner.try_workload(body.value)).into_response());
    }
    let keyed = key.bind(&body.bytes);
    Ok(answer(api.inner.create_workload(body.value, keyed).await?))
}

/// One workload.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}", operation_id = "show_workload", tag = "workloads",
    params(("name" = String, Path, description = "Its id or its name.")),
    responses((status = 200, description = "the workload", body = Workload), (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem))
)]
pub(super) async fn show(
    State(api): State<Api>,
    Target(name): Target,
    params: Params,
) -> Result<axum::Json<Workload>, Problem> {
    params.finish()?;
    let snapshot = api.inner.store.snapshot();
    let found = find(&snapshot.state, &name)?;
    Ok(axum::Json(view(
        &found,
        api.inner.registry.reach(found.at.node),
    )?))
}

/// Lets it run (again). Nothing happens if it does or is about to.
#[utoipa::path(
    post, path = "/api/v1/workloads/{name}/start", operation_id = "start_workload", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same request within 24 hours gets the same answer.")
    ),
    responses(
        (status = 202, description = "accepted; `generation` is what to wait for", body = Workload),
        (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn start(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    params: Params,
    body: Sent<Nothing>,
) -> Result<Response, Problem> {
    params.finish()?;
    let keyed = key.bind(&body.bytes);
    Ok(answer(
        api.inner.change_workload(name, Verb::Start, keyed).await?,
    ))
}

/// Lets it end; its workspace and logs stay. Nothing happens if it has.
#[utoipa::path(
    post, path = "/api/v1/workloads/{name}/stop", operation_id = "stop_workload", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same request within 24 hours gets the same answer.")
    ),
    request_body = Option<Stop>,
    responses(
        (status = 202, description = "accepted; `generation` is what to wait for", body = Workload),
        (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn stop(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    params: Params,
    body: Sent<Stop>,
) -> Result<Response, Problem> {
    params.finish()?;
    let keyed = key.bind(&body.bytes);
    let verb = Verb::Stop {
        grace_ms: body.value.grace_ms,
    };
    Ok(answer(api.inner.change_workload(name, verb, keyed).await?))
}

/// Lets one that has a ttl exist for longer. That is possible as long as it is not on its way out.
#[utoipa::path(
    post, path = "/api/v1/workloads/{name}/extend", operation_id = "extend_workload", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same request within 24 hours gets the same answer, and is added once.")
    ),
    request_body = Extend,
    responses(
        (status = 200, description = "its end is put off: `expires_at_ms`", body = Workload),
        (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn extend(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    params: Params,
    body: Sent<Extend>,
) -> Result<Response, Problem> {
    params.finish()?;
    let keyed = key.bind(&body.bytes);
    let extended = api.inner.extend_workload(name, body.value.ttl, keyed);
    Ok(answer(extended.await?))
}

/// Ends it and removes all that was made for it. It is shown as `removing` until its node has done that.
#[utoipa::path(
    delete, path = "/api/v1/workloads/{name}", operation_id = "remove_workload", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("grace_ms" = Option<u64>, Query, description = "How long the end may take before it becomes a kill, in milliseconds."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same request within 24 hours gets the same answer.")
    ),
    responses(
        (status = 202, description = "accepted; gone when it is not found any more", body = Workload),
        (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    mut params: Params,
) -> Result<Response, Problem> {
    let grace_ms = params.read("grace_ms", "milliseconds")?;
    params.finish()?;
    let keyed = key.bind(&[]);
    Ok(answer(
        api.inner
            .change_workload(name, Verb::Remove { grace_ms }, keyed)
            .await?,
    ))
}

/// An answer that may have been given before.
pub(super) fn answer(Answer { status, body }: Answer) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn label(text: &str) -> Result<(Label, Label), Error> {
    let invalid = |why: String| Error::invalid("invalid-parameter", why).with("parameter", "label");
    let (key, value) = text.split_once('=').ok_or_else(|| {
        invalid(format!(
            "`label={}` has no `=`: write KEY=VALUE",
            super::shorten(text)
        ))
    })?;
    let read = |text: &str| {
        text.parse::<Label>()
            .map_err(|error| invalid(error.to_string()))
    };
    Ok((read(key)?, read(value)?))
}

fn state(text: &str) -> Result<WorkloadState, Error> {
    WorkloadState::ALL
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| {
            let known = WorkloadState::ALL.map(WorkloadState::as_str).join(", ");
            Error::invalid(
                "invalid-parameter",
                format!(
                    "`state={}` is no state: expected one of {known}",
                    super::shorten(text)
                ),
            )
            .with("parameter", "state")
        })
}
