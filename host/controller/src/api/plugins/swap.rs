//! Other code for a plugin while it works, and the code before it back.

use axum::extract::{Request, State};
use axum::response::Response;
use fleet_model::swap::{Adoption, SwapReport, SwapRun, SwapWay};
use fleet_model::{Error, Name};
use fleet_protocol::plugin::PluginCall;

use super::super::Api;
use super::super::body::Key;
use super::super::params::{Flag, Params};
use super::super::problem::Problem;
use super::super::target::Target;
use super::answer::{Form as AnswerForm, SwapLine, answer};
use super::ask::{self, Asked, problem};
use super::component::{Cut, Form, stopped};
use super::place::place;

/// Puts another component in the place of an active plugin, without a lost call. The answer is the report,
/// whatever the verdict; the swap goes on when the client goes away, and its report is in the history.
///
/// The body is the component itself or, to bring its manifest too, a form (`multipart/form-data`) with the
/// files `component` and `manifest`. Without a manifest the active one stays. With
/// `Accept: application/x-ndjson` the stages are told as they are reached, a line each, and then the report.
#[utoipa::path(
    post, path = "/api/v1/plugins/{name}/swap", operation_id = "swap_plugin", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name."),
        ("node" = Option<String>, Query, description = "The name of a node that has it; needed where several do."),
        ("dry_run" = Option<bool>, Query, description = "Go as far as adoption and put nothing into use."),
        ("one_way" = Option<bool>, Query, description = "Take it also where there is no way back: no handle schema that both versions read."),
        ("lenient" = Option<bool>, Query, description = "Take it also where it does not know what the active version says is running or exited."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same key again swaps nothing and gets the report of the first, while that is under way or among the last 64 of the plugin.")
    ),
    request_body(content = String, content_type = "application/wasm", description = "The component, with any content type but `multipart/form-data`; at most 64 MiB."),
    responses(
        (status = 200, description = "the swap has ended: in use, rejected for the reason given, or only tried", content(
            (SwapReport = "application/json"),
            (SwapLine = "application/x-ndjson")
        )),
        (status = 408, description = "the body stopped in the middle; nothing was begun", content_type = "application/problem+json", body = Problem),
        (status = 413, description = "the component is larger than 64 MiB", content_type = "application/problem+json", body = Problem),
        (status = 507, description = "it does not fit on the node's disk", content_type = "application/problem+json", body = Problem),
        (status = "default", description = "a problem, and nothing was begun: `already-active`, `swap-under-way`, `quarantined`, `no-plugin`, `bad-manifest`, `no-component`, `idempotency-key-reused`; 503 while the node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn swap(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    mut params: Params,
    request: Request,
) -> Result<Response, Problem> {
    let node = params.text("node")?;
    let run = match params.flag("dry_run")? {
        Flag::Set => SwapRun::Dry,
        Flag::Unset => SwapRun::Real,
    };
    let way = match params.flag("one_way")? {
        Flag::Set => SwapWay::OneWay,
        Flag::Unset => SwapWay::Back,
    };
    let adoption = match params.flag("lenient")? {
        Flag::Set => Adoption::Lenient,
        Flag::Unset => Adoption::Strict,
    };
    params.finish()?;
    let form = AnswerForm::of(request.headers());
    let (head, body) = request.into_parts();
    let component = Form::of(&head.headers, body)?;
    let place = place(&api.inner.store.snapshot().state, &name, node.as_deref())?;
    let call = PluginCall::Swap {
        plugin: plugin(&name)?,
        key: key.into_text(),
        run,
        way,
        adoption,
    };
    let Asked {
        mut sink,
        mut replies,
    } = ask::open(&api, place, call).await.map_err(problem)?;
    let early = {
        let mut sending = std::pin::pin!(component.pass(&mut sink));
        tokio::select! {
            biased;
            early = replies.next() => Some(early),
            sent = &mut sending => match sent {
                // Whatever the node has to say about it comes as a reply.
                Ok(()) | Err(Cut::Node) => None,
                Err(Cut::Client) => return Err(stopped()),
                Err(Cut::Refused(error)) => return Err(problem(error)),
            },
        }
    };
    answer(&api, sink, replies, early, form).await
}

/// Puts the last proven generation of a plugin back, and quarantines the one that served.
#[utoipa::path(
    post, path = "/api/v1/plugins/{name}/rollback", operation_id = "rollback_plugin", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name."),
        ("node" = Option<String>, Query, description = "The name of a node that has it; needed where several do."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same key again goes back no further and gets the report of the first.")
    ),
    responses(
        (status = 200, description = "it has ended: in use, or rejected for the reason given", content(
            (SwapReport = "application/json"),
            (SwapLine = "application/x-ndjson")
        )),
        (status = "default", description = "a problem, and nothing was begun: `nothing-to-roll-back-to`, `rollback-off`, `swap-under-way`, `no-plugin`; 503 while the node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn rollback(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    mut params: Params,
    request: Request,
) -> Result<Response, Problem> {
    let node = params.text("node")?;
    params.finish()?;
    let form = AnswerForm::of(request.headers());
    let place = place(&api.inner.store.snapshot().state, &name, node.as_deref())?;
    let call = PluginCall::Rollback {
        plugin: plugin(&name)?,
        key: key.into_text(),
    };
    let Asked { sink, replies } = ask::open(&api, place, call).await.map_err(problem)?;
    answer(&api, sink, replies, None, form).await
}

/// A plugin that is in use has a name; a file that is not may be called anything.
pub(super) fn plugin(name: &str) -> Result<Name, Error> {
    name.parse().map_err(|_| {
        Error::not_found(
            "no-plugin",
            format!(
                "there is no active plugin `{}`: `fleet-host plugin ls` says why",
                super::super::shorten(name)
            ),
        )
    })
}
