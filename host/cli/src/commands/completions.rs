//! `completions SHELL`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::app::Context;
use crate::cli::Cli;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell: put the output where it looks for completions
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs, context: &mut Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fleet-host", &mut script);
    context.output.bytes(&script)
}
