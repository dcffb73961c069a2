//! `workload attach`: a program that was begun before, as if it ran here.

use clap::Args;
use fleet_model::exec::ExecId;

use super::beside::{self, Input};
use super::exec::CODES;
use crate::app::Context;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, Args)]
#[command(after_help = CODES)]
pub(crate) struct AttachArgs {
    /// Its id, as `workload exec --detach` and `workload execs` print it
    #[arg(value_name = "EXEC")]
    exec: ExecId,
    /// Pass standard input on to it, to its end; a terminal is passed on to one that has a terminal
    #[arg(long, short)]
    interactive: bool,
    /// Only what it printed after so many bytes [default: all that is kept]
    #[arg(long, value_name = "BYTES", default_value_t, hide_default_value = true)]
    after: u64,
}

/// Attaches, and exits with the program's code.
pub(crate) async fn run(args: &AttachArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client().map_err(beside::own)?;
    let exec = client.exec_show(args.exec).await;
    let exec = exec.map_err(|error| beside::own(error.into()))?;
    let input = match (exec.terminal, args.interactive) {
        (true, _) if beside::is_typed_at() => Input::Keys,
        (_, true) => Input::Stream,
        (_, false) => Input::None,
    };
    let attachment = client.attach(exec.id, args.after);
    beside::stand_for(&exec, attachment, input, &mut context.output)
        .await
        .map_err(beside::own)
}
