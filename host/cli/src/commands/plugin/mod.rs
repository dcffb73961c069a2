//! `plugin`: what was found in the plugin folder, what became of it, and why.

mod ls;
mod show;
mod verify;

use clap::Subcommand;

use crate::app::{Context, block_on};
use crate::failure::Failure;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the files that were found
    #[command(visible_alias = "list")]
    Ls,
    /// Show all that is known of a plugin
    Show(show::ShowArgs),
    /// Check a component as the host would, without a host
    Verify(verify::VerifyArgs),
}

/// Does one of them.
pub(crate) fn run(command: Command, context: &mut Context) -> Result<(), Failure> {
    block_on(async {
        match command {
            Command::Ls => ls::run(context).await,
            Command::Show(args) => show::run(&args, context).await,
            Command::Verify(args) => verify::run(&args, context).await,
        }
    })
}
