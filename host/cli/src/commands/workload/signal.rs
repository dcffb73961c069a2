//! `workload signal`: a signal for a workload's program, sent once.

use std::time::Duration;

use clap::Args;
use fleet_client::IdempotencyKey;
use fleet_model::signal;

use crate::app::Context;
use crate::failure::Failure;
use crate::progress::Progress;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct SignalArgs {
    /// Its name or id
    #[arg(value_name = "ID")]
    name: String,
    /// The signal's name, with or without SIG: HUP, SIGUSR1, term
    #[arg(value_parser = known)]
    signal: &'static str,
    /// Send it under this key: the same one again sends nothing [default: made up]
    #[arg(long)]
    key: Option<IdempotencyKey>,
}

/// How long to go on while the host or the workload's node cannot be reached.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends it.
pub(crate) async fn run(args: SignalArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?.insisting(PATIENCE);
    let key = args.key.unwrap_or_else(|| client.new_key());
    let progress = Progress::begin(format!("sending to {}", args.name));
    let sent = client.signal(&args.name, args.signal, &key).await?;
    drop(progress);
    context.output.answer(&sent, || {
        format!(
            "sent SIG{} to {}, key {}\n",
            sent.signal, args.name, sent.key
        )
    })
}

fn known(text: &str) -> Result<&'static str, String> {
    signal::named(text).map_err(|error| error.message)
}
