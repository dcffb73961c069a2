//! One round: built, tested, swapped. Each step is told as it is done, and the first that fails ends it.

use std::path::PathBuf;

use fleet_author::{Built, Project, build};
use fleet_conformance::Kit;
use tokio_util::sync::CancellationToken;

use super::{DevArgs, Known, Played, api, told};
use crate::app::Context;
use crate::commands::plugin::build::{tools, waiting};
use crate::commands::plugin::test;
use crate::failure::Failure;
use crate::progress::Progress;

/// Goes once from the sources to the host, or until it is told to end.
pub(super) async fn play(
    args: &DevArgs,
    context: &mut Context,
    stop: &CancellationToken,
    known: &mut Known,
) -> Result<Played, Failure> {
    let project = Project::open(&args.dir)?;
    let grants = args.grants.clone().or_else(|| project.grants());
    // A toolchain is waited for when the runtime ends: none is left behind.
    let built = tokio::select! {
        built = built(project, context) => built,
        () = stop.cancelled() => return Ok(Played::BrokenOff),
    };
    known.sources.built(&args.dir);
    let built = built?;
    told::built(context, &built, &args.dir)?;
    if !args.no_test {
        match tested(args, grants, &built, context, stop).await? {
            Played::ToTheEnd => {}
            Played::BrokenOff => return Ok(Played::BrokenOff),
        }
    }
    // Before the swap: one that is copied now is read by it.
    if let Some(policy) = known.policy.news(&built)? {
        told::policy(context, policy)?;
    }
    let client = context.client()?;
    let progress = Progress::begin(format!("swapping {}", built.name));
    let served = tokio::select! {
        served = api::swap(&client, &built) => served,
        () = stop.cancelled() => return Ok(Played::BrokenOff),
    };
    drop(progress);
    told::served(context, &served?)?;
    Ok(Played::ToTheEnd)
}

async fn built(project: Project, context: &Context) -> Result<Built, Failure> {
    let progress = Progress::begin(waiting(&project));
    let tools = tools(&context.environment);
    // A toolchain takes its time; the signal that ends this must be heard meanwhile.
    let work = tokio::task::spawn_blocking(move || build(&project, &tools));
    let built = work
        .await
        .map_err(|error| Failure::failed(format!("the build broke: {error}")))?;
    drop(progress);
    Ok(built?)
}

async fn tested(
    args: &DevArgs,
    grants: Option<PathBuf>,
    built: &Built,
    context: &mut Context,
    stop: &CancellationToken,
) -> Result<Played, Failure> {
    let progress = Progress::begin(format!("testing {}", built.name));
    let options = test::options(
        &built.component,
        grants.as_deref(),
        args.case.as_deref(),
        &context.environment,
    );
    let kit = tokio::select! {
        kit = Kit::open(options) => kit?,
        () = stop.cancelled() => return Ok(Played::BrokenOff),
    };
    // Never dropped in between: the kit ends what it has started before it ends.
    let report = kit.run(stop.cancelled()).await;
    drop(progress);
    if stop.is_cancelled() {
        return Ok(Played::BrokenOff);
    }
    told::tested(context, &report)?;
    Ok(Played::ToTheEnd)
}
