//! Says how far a swap is, whenever that changes, then what became of it.
//!
//! How far it is stands in the list of plugins, for everybody; a newcomer that is quick may pass a stage
//! unseen. The report has all of them with their times.

use std::io;

use fleet_model::plugin::PluginState;
use fleet_model::{Error, Name};
use fleet_protocol::bulk::BulkStream;
use fleet_protocol::plugin::Reply;

use super::desk::{Ended, Outcome};
use super::end;
use crate::context::Context;

/// What happened meanwhile.
enum Next {
    Ended(Box<Outcome>),
    Changed,
    Gone,
}

/// Tells it until its end, or until nobody listens.
pub(super) async fn follow(
    context: &Context,
    mut stream: BulkStream,
    plugin: &Name,
    mut ended: Ended,
) -> io::Result<()> {
    let mut changes = context.drivers.changes();
    let mut told = None;
    loop {
        changes.borrow_and_update();
        let reached = stage(context, plugin);
        if reached != told
            && let Some(state) = reached
        {
            stream.send_json(&Reply::Stage { state }).await?;
        }
        told = reached;
        let next = tokio::select! {
            biased;
            outcome = outcome(&mut ended) => Next::Ended(Box::new(outcome)),
            Ok(()) = changes.changed() => Next::Changed,
            () = stream.closed() => Next::Gone,
        };
        let outcome = match next {
            Next::Ended(outcome) => *outcome,
            Next::Changed => continue,
            Next::Gone => return Ok(()),
        };
        let reply = match outcome {
            Ok(report) => Reply::Report {
                report: Box::new(report),
            },
            Err(error) => Reply::Failed { error },
        };
        return end(stream, reply).await;
    }
}

async fn outcome(ended: &mut Ended) -> Outcome {
    let known = ended.wait_for(Option::is_some).await;
    let outcome = known.ok().and_then(|outcome| outcome.clone());
    outcome.unwrap_or_else(|| {
        Err(Error::internal(
            "swap-cut-short",
            "the swap ended without a report, which is a bug: see the node's log",
        ))
    })
}

/// The stage of the newcomer that is on its way into this plugin's place.
fn stage(context: &Context, plugin: &Name) -> Option<PluginState> {
    let plugins = context.drivers.plugins();
    let mut of_name = plugins
        .into_iter()
        .filter(|row| row.name == plugin.as_str());
    of_name
        .find_map(|row| row.swapping)
        .map(|newcomer| newcomer.state)
}
