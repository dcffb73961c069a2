//! `plugin rollback`.

use clap::Args;

use super::waiting;
use crate::app::Context;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// Its name
    name: String,
    /// On which node, where several have it
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

/// Goes back, and says how it ended.
pub(crate) async fn run(args: &RollbackArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    let back = client.rollback(&args.name, args.node.as_deref());
    waiting::end(back, &args.name, context).await
}
