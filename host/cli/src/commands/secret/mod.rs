//! `secret`: values that workloads use and nobody is shown. A value comes in on standard input and
//! is never printed.

mod ls;
mod rm;
mod set;

use clap::Subcommand;

use crate::app::{Context, block_on};
use crate::failure::Failure;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set a secret to what is read from standard input, or typed and not shown; what runs keeps the value
    /// it was started with
    Set(set::SetArgs),
    /// List secrets and who uses them; values are never shown
    #[command(visible_alias = "list")]
    Ls,
    /// Remove a secret
    Rm(rm::RmArgs),
}

/// Does one of them.
pub(crate) fn run(command: Command, context: &mut Context) -> Result<(), Failure> {
    block_on(async {
        match command {
            Command::Set(args) => set::run(args, context).await,
            Command::Ls => ls::run(context).await,
            Command::Rm(args) => rm::run(&args, context).await,
        }
    })
}
