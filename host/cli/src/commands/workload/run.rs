//! `workload run`.

use std::time::Duration;

use clap::Args;

use super::settle::settled;
use super::trial;
use crate::app::Context;
use crate::failure::Failure;
use crate::spec::SpecArgs;
use crate::time;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    spec: SpecArgs,
    /// Return when it runs or has ended; the exit code is 0 if it runs or ended with 0
    #[arg(long)]
    wait: bool,
    /// Wait so long at most; the host goes on trying all the same [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = time::duration, allow_hyphen_values = true, requires = "wait")]
    timeout: Option<Duration>,
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
        return settled(&client, &workload, args.timeout, context).await;
    }
    context.output.answer(&workload, || {
        format!("{}  {}\n", workload.id, workload.name)
    })
}
