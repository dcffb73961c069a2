//! `workload start`.

use clap::Args;

use super::run::settled;
use crate::app::Context;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Its name or id
    #[arg(value_name = "ID")]
    name: String,
}

/// Starts it and waits until it runs or has ended.
pub(crate) async fn run(args: &StartArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    let workload = client.start(&args.name).await?;
    settled(&client, &workload, context).await
}
