//! `workload run`.

use clap::Args;
use fleet_client::Client;
use fleet_model::workload::Workload;

use super::{outcome, trial};
use crate::app::Context;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::spec::SpecArgs;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    spec: SpecArgs,
    /// Return when it runs or has ended; the exit code is 0 if it runs or ended with 0
    #[arg(long)]
    wait: bool,
    /// Only say whether it would be accepted, on which node it would run, and why not on the others; the
    /// exit code is 4 if it would be refused
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
}

/// Asks for it, and waits if told to.
pub(crate) async fn run(args: RunArgs, context: &mut Context) -> Result<(), Failure> {
    let spec = args.spec.spec()?;
    let client = context.client()?;
    if args.dry_run {
        return trial::run(&client, &spec, context).await;
    }
    let workload = client.create(&spec).await?;
    if args.wait {
        return settled(&client, &workload, context).await;
    }
    context.output.answer(&workload, || {
        format!("{}  {}\n", workload.id, workload.name)
    })
}

/// Waits until this generation runs or has ended, and says so.
pub(super) async fn settled(
    client: &Client,
    workload: &Workload,
    context: &mut Context,
) -> Result<(), Failure> {
    let progress = Progress::begin(format!("{} is {}", workload.name, workload.state));
    let seen = |now: &Workload| {
        let why = now
            .message
            .as_ref()
            .map(|why| format!(": {why}"))
            .unwrap_or_default();
        progress.say(format!("{} is {}{why}", now.name, now.state));
        outcome::is_settled(now)
    };
    let workload = client
        .wait_for(workload.id, workload.generation, seen)
        .await?;
    drop(progress);
    context
        .output
        .answer(&workload, || outcome::line(&workload))?;
    outcome::verdict(&workload)
}
