//! `plugin`: what was found in the plugin folder, what became of it, and why; other code for it while it
//! works; and how one is made.

#[cfg(feature = "compiler")]
mod build;
#[cfg(feature = "compiler")]
mod contract;
#[cfg(feature = "compiler")]
mod dev;
mod history;
mod ls;
#[cfg(feature = "compiler")]
mod new;
mod report;
mod rollback;
#[cfg(feature = "compiler")]
mod sdk;
mod show;
mod signals;
mod swap;
mod test;
mod unquarantine;
mod verify;
mod waiting;

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
    /// Put another version in the place of one that works, without a lost call
    Swap(swap::SwapArgs),
    /// Put the last proven version back
    Rollback(rollback::RollbackArgs),
    /// List what was swapped, and how it ended
    History(history::HistoryArgs),
    /// Let a component in again that was put into quarantine
    Unquarantine(unquarantine::UnquarantineArgs),
    /// Check a component as the host would, without a host
    Verify(verify::VerifyArgs),
    /// Hold a backend to the conformance kit, without a host
    Test(test::TestArgs),
    /// Write a project for a plugin, which builds alone
    #[cfg(feature = "compiler")]
    New(new::NewArgs),
    /// Build a project into dist/NAME.wasm
    #[cfg(feature = "compiler")]
    Build(build::BuildArgs),
    /// Build, test and swap whenever a file of a project is saved
    #[cfg(feature = "compiler")]
    Dev(dev::DevArgs),
    /// Write this host's SDK and contract into a project
    #[cfg(feature = "compiler")]
    Sdk(sdk::SdkArgs),
    /// Print the contract as a page
    #[cfg(feature = "compiler")]
    Contract,
}

/// Does one of them.
pub(crate) fn run(command: Command, context: &mut Context) -> Result<(), Failure> {
    match command {
        Command::Ls => block_on(ls::run(context)),
        Command::Show(args) => block_on(show::run(&args, context)),
        Command::Swap(args) => block_on(swap::run(&args, context)),
        Command::Rollback(args) => block_on(rollback::run(&args, context)),
        Command::History(args) => block_on(history::run(&args, context)),
        Command::Unquarantine(args) => block_on(unquarantine::run(&args, context)),
        Command::Verify(args) => block_on(verify::run(&args, context)),
        Command::Test(args) => test::run(&args, context),
        #[cfg(feature = "compiler")]
        Command::New(args) => new::run(&args, context),
        #[cfg(feature = "compiler")]
        Command::Build(args) => build::run(&args, context),
        #[cfg(feature = "compiler")]
        Command::Dev(args) => dev::run(&args, context),
        #[cfg(feature = "compiler")]
        Command::Sdk(args) => sdk::run(&args, context),
        #[cfg(feature = "compiler")]
        Command::Contract => contract::run(context),
    }
}
