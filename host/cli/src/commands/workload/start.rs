//! `workload start`.

use std::time::Duration;

use clap::Args;

use super::settle::settled;
use crate::app::Context;
use crate::failure::Failure;
use crate::time;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Its name or id
    #[arg(value_name = "ID")]
    name: String,
    /// Wait so long at most; the host goes on trying all the same [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = time::duration, allow_hyphen_values = true)]
    timeout: Option<Duration>,
}

/// Starts it and waits until it runs or has ended.
pub(crate) async fn run(args: &StartArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    let workload = client.start(&args.name).await?;
    settled(&client, &workload, args.timeout, context).await
}
