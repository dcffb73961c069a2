//! What is there, without its bytes.

use axum::extract::State;
use fleet_model::Error;
use fleet_model::file::FileEntry;
use fleet_protocol::file::{FileCall, Reply};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Api;
use super::super::page::{self, Page};
use super::super::params::{Flag, Params};
use super::super::problem::Problem;
use super::super::target::Target;
use super::ask::{ask, foreign};
use super::required;

/// How far an upload has come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Arrived {
    /// So many bytes have arrived: the next ones belong there.
    pub(super) arrived: u64,
    /// The whole file's SHA-256 in hexadecimal digits, once it is in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

/// What is in a folder, in order of the names.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}/files/list", operation_id = "list_files", tag = "files",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("path" = Option<String>, Query, description = "The folder, as in `conf`; the workspace itself if absent."),
        ("after" = Option<String>, Query, description = "`next` of the page before."),
        ("limit" = Option<u32>, Query, description = "Entries on the page, 1 to 500; 100 if absent.")
    ),
    responses(
        (status = 200, description = "a page of entries", body = Page<FileEntry>),
        (status = "default", description = "a problem: `outside-workspace`, `no-such-file`, `not-a-folder`; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Target(name): Target,
    mut params: Params,
) -> Result<axum::Json<Page<FileEntry>>, Problem> {
    let call = FileCall::List {
        path: params.text("path")?.unwrap_or_default(),
        after: params.text("after")?,
        limit: u32::try_from(page::limit(&mut params)?).unwrap_or(u32::MAX),
    };
    params.finish()?;
    match ask(&api, &name, call).await? {
        Reply::Entries { entries, next } => Ok(axum::Json(Page {
            items: entries,
            next,
        })),
        _ => Err(foreign()),
    }
}

/// What is at a path: a file, a folder, a link, or something else.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}/files/stat", operation_id = "stat_file", tag = "files",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("path" = Option<String>, Query, description = "Where; the workspace itself if absent."),
        ("sha256" = Option<bool>, Query, description = "Read the file and answer its SHA-256."),
        ("follow" = Option<bool>, Query, description = "What a link there leads to, not the link.")
    ),
    responses(
        (status = 200, description = "what is there", body = FileEntry),
        (status = "default", description = "a problem: `outside-workspace`, `no-such-file`; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn stat(
    State(api): State<Api>,
    Target(name): Target,
    mut params: Params,
) -> Result<axum::Json<FileEntry>, Problem> {
    let call = FileCall::Stat {
        path: params.text("path")?.unwrap_or_default(),
        digest: params.flag("sha256")? == Flag::Set,
        follow: params.flag("follow")? == Flag::Set,
    };
    params.finish()?;
    match ask(&api, &name, call).await? {
        Reply::Entry(entry) => Ok(axum::Json(entry)),
        _ => Err(foreign()),
    }
}

/// How much of an upload has arrived; nothing of one that is whole and in its place.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}/files/uploads", operation_id = "show_upload", tag = "files",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("key" = String, Query, description = "The upload's `Idempotency-Key`.")
    ),
    responses(
        (status = 200, description = "how much has arrived", body = Arrived),
        (status = "default", description = "a problem; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn uploaded(
    State(api): State<Api>,
    Target(name): Target,
    mut params: Params,
) -> Result<axum::Json<Arrived>, Problem> {
    let key = required(&mut params, "key")?;
    params.finish()?;
    if key.is_empty() {
        return Err(
            Error::invalid("invalid-parameter", "`key` is empty: give the upload's key").into(),
        );
    }
    match ask(&api, &name, FileCall::Uploaded { key }).await? {
        Reply::Upload { arrived, sha256 } => Ok(axum::Json(Arrived { arrived, sha256 })),
        _ => Err(foreign()),
    }
}
