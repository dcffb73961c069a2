//! Answers what the controller asks about plugins: swaps, rollbacks, their reports, the quarantine.
//!
//! | room | what happens there |
//! |---|---|
//! | `intake` | a component on its way in, to the disk first |
//! | [`desk`] | one key, one swap: whoever asks again joins it, or gets its report |
//! | `follow` | says how far it is, then what became of it |
//!
//! The plugin host does the work. What was begun goes on when the asker goes away.

mod desk;
mod follow;
mod intake;

use std::io;
use std::sync::Arc;

use fleet_model::{Error, Name};
use fleet_plugin::{SwapOptions, Swaps, Upload};
use fleet_protocol::bulk::{BulkStream, Pending};
use fleet_protocol::plugin::{MAX_PAGE, PluginCall, Reply};

use crate::context::Context;
pub(crate) use desk::Desk;
use desk::{Asked, What, Work};

/// Answers one request.
pub(crate) async fn answer(
    context: &Arc<Context>,
    pending: Pending,
    call: PluginCall,
) -> io::Result<()> {
    let Some(swaps) = context.drivers.swaps() else {
        return pending.refuse(fixed()).await;
    };
    match call {
        PluginCall::Swap {
            plugin,
            key,
            run,
            way,
            adoption,
        } => {
            let options = SwapOptions {
                run,
                way,
                adoption,
                request: key.clone(),
            };
            swap(context, swaps, pending, plugin, options).await
        }
        PluginCall::Rollback { plugin, key } => {
            let asked = Asked {
                plugin,
                what: What::Rollback,
            };
            let stream = pending.accept().await?;
            begun(context, swaps, stream, key, asked, Work::Rollback).await
        }
        PluginCall::History {
            plugin,
            before,
            limit,
        } => {
            let limit = usize::try_from(limit.min(MAX_PAGE)).unwrap_or_default();
            let page = swaps.history(&plugin, before, limit);
            tell(
                pending,
                page.map(|(reports, next)| Reply::History { reports, next }),
            )
            .await
        }
        PluginCall::Unquarantine { digest } => {
            let allowed = swaps.unquarantine(&digest).await;
            tell(pending, allowed.map(|entries| Reply::Allowed { entries })).await
        }
    }
}

async fn swap(
    context: &Arc<Context>,
    swaps: &dyn Swaps,
    pending: Pending,
    plugin: Name,
    options: SwapOptions,
) -> io::Result<()> {
    let Some(place) = context.desk.place() else {
        return pending.refuse(crowded()).await;
    };
    let mut stream = pending.accept().await?;
    let arrived = match intake::take(swaps, &*context.clock, &mut stream).await {
        Ok(Some(arrived)) => arrived,
        // The asker is gone, and half a component is none.
        Ok(None) => return Ok(()),
        Err(error) => return end(stream, Reply::Failed { error }).await,
    };
    // What is under way is bounded by the plugins there are: those that arrive do not wait for it.
    drop(place);
    let asked = Asked {
        plugin,
        what: What::Swap {
            digest: arrived.digest,
            manifest: arrived.manifest.clone(),
            options: options.clone(),
        },
    };
    let key = options.request.clone();
    let upload = Upload {
        component: arrived.component,
        manifest: arrived.manifest,
    };
    begun(
        context,
        swaps,
        stream,
        key,
        asked,
        Work::Swap(upload, options),
    )
    .await
}

/// Begins it, or joins what was begun under its key, and tells what becomes of it.
async fn begun(
    context: &Arc<Context>,
    swaps: &dyn Swaps,
    stream: BulkStream,
    key: Option<String>,
    asked: Asked,
    work: Work,
) -> io::Result<()> {
    let plugin = asked.plugin.clone();
    match desk::begin(context, swaps, key, asked, work) {
        Ok(ended) => follow::follow(context, stream, &plugin, ended).await,
        Err(error) => end(stream, Reply::Failed { error }).await,
    }
}

/// The answer is one frame.
async fn tell(pending: Pending, answer: Result<Reply, Error>) -> io::Result<()> {
    match answer {
        Ok(reply) => end(pending.accept().await?, reply).await,
        Err(error) => pending.refuse(error).await,
    }
}

/// The last word.
async fn end(mut stream: BulkStream, reply: Reply) -> io::Result<()> {
    stream.send_json(&reply).await?;
    stream.finish().await
}

fn fixed() -> Error {
    Error::unsupported(
        "no-swaps",
        "what this node runs workloads with is built in and cannot be swapped",
    )
}

fn crowded() -> Error {
    Error::new(
        fleet_model::ErrorKind::Exhausted,
        "too-many-uploads",
        format!(
            "{} components are on their way to this node already: try again when they have arrived",
            desk::UPLOADS
        ),
    )
}
