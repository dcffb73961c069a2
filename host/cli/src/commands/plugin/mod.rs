//! `plugin`: what was found in the plugin folder, what became of it, and why.

mod ls;
mod show;
mod test;
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
    /// Hold a backend to the conformance kit, without a host
    Test(test::TestArgs),
}

/// Does one of them.
pub(crate) fn run(command: Command, context: &mut Context) -> Result<(), Failure> {
    match command {
        Command::Ls => block_on(ls::run(context)),
        Command::Show(args) => block_on(show::run(&args, context)),
        Command::Verify(args) => block_on(verify::run(&args, context)),
        Command::Test(args) => test::run(&args, context),
    }
}
