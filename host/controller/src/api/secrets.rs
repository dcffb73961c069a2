//! `/api/v1/secrets`: values go in, and do not come out.

use std::ops::Bound;

use axum::extract::State;
use axum::response::Response;
use fleet_model::{Error, Name};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Key;
use super::page::{self, Page};
use super::params::{Flag, Params};
use super::problem::Problem;
use super::secret_body::SecretBody;
use super::target::Target;
use super::workloads::answer;
use super::{Api, shorten};
use crate::secret::{InUse, Secret, references};

/// A secret in the list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListedSecret {
    /// The secret.
    #[serde(flatten)]
    secret: Secret,
    /// The names of the workloads that name it.
    used_by: Vec<String>,
}

/// Secrets, by name. No value is ever shown.
#[utoipa::path(
    get, path = "/api/v1/secrets", operation_id = "list_secrets", tag = "secrets",
    params(
        ("limit" = Option<u32>, Query, description = "Entries on the page, 1 to 500; 100 if absent."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before.")
    ),
    responses((status = 200, description = "a page of secrets", body = Page<ListedSecret>), (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem))
)]
pub(super) async fn list(
    State(api): State<Api>,
    mut params: Params,
) -> Result<axum::Json<Page<ListedSecret>>, Problem> {
    let limit = page::limit(&mut params)?;
    let after = params.read::<Name>("cursor", "`next` of the page before")?;
    params.finish()?;
    let snapshot = api.inner.store.snapshot();
    let users = references(snapshot.state.items.values());
    let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = snapshot
        .state
        .secrets
        .range::<Name>((from, Bound::Unbounded))
        .peekable();
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let next = page
        .last()
        .filter(|_| rest.peek().is_some())
        .map(|(name, _)| name.to_string());
    let items = page.into_iter().map(|(name, row)| ListedSecret {
        secret: Secret::of(row),
        used_by: users
            .get(name.as_str())
            .map(|names| names.iter().copied().map(str::to_owned).collect())
            .unwrap_or_default(),
    });
    Ok(axum::Json(Page {
        items: items.collect(),
        next,
    }))
}

/// Sets a secret, for the first time or anew. What runs keeps the value that it was started with.
#[utoipa::path(
    put, path = "/api/v1/secrets/{name}", operation_id = "set_secret", tag = "secrets",
    params(
        ("name" = String, Path, description = "Its name."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same key and value within 24 hours give the same answer.")
    ),
    request_body(content = String, content_type = "application/octet-stream", description = "The value itself, 1 byte to 64 KiB; any content type but JSON."),
    responses(
        (status = 200, description = "set, and durable", body = Secret),
        (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn set(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    params: Params,
    SecretBody(value): SecretBody,
) -> Result<Response, Problem> {
    params.finish()?;
    let name: Name = name.parse().map_err(|_| invalid_name(&name))?;
    // What is kept of the request must not let anybody guess the value.
    let blinded = api.inner.sealing_key()?.blind(&value);
    let keyed = key.bind(&blinded);
    Ok(answer(api.inner.set_secret(name, value, keyed).await?))
}

/// Removes a secret.
#[utoipa::path(
    delete, path = "/api/v1/secrets/{name}", operation_id = "remove_secret", tag = "secrets",
    params(
        ("name" = String, Path, description = "Its name."),
        ("force" = Option<bool>, Query, description = "Also where workloads name it; they cannot be started any more."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same request within 24 hours gets the same answer.")
    ),
    responses(
        (status = 200, description = "removed: what it was", body = Secret),
        (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    mut params: Params,
) -> Result<Response, Problem> {
    let in_use = match params.flag("force")? {
        Flag::Set => InUse::Remove,
        Flag::Unset => InUse::Keep,
    };
    params.finish()?;
    let keyed = key.bind(&[]);
    Ok(answer(api.inner.remove_secret(name, in_use, keyed).await?))
}

fn invalid_name(name: &str) -> Error {
    Error::invalid(
        "invalid-secret-name",
        format!(
            "`{}` is no name of a secret: use 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit, not ending with `-`",
            shorten(name)
        ),
    )
}
