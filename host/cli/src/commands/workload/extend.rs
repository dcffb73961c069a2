//! `workload extend`.

use clap::Args;
use fleet_model::quantity::Span;
use fleet_seam::{Clock as _, SystemClock};

use super::show::expiry;
use crate::app::Context;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct ExtendArgs {
    /// Its name or id
    #[arg(value_name = "ID")]
    name: String,
    /// How much later it is to be removed, as in 30m, 1h 30m or 7d
    #[arg(value_name = "DURATION", allow_negative_numbers = true)]
    by: Span,
}

/// Puts its end off.
pub(crate) async fn run(args: &ExtendArgs, context: &mut Context) -> Result<(), Failure> {
    let workload = context.client()?.extend(&args.name, args.by).await?;
    context.output.answer(&workload, || {
        let expires = expiry(workload.expires_at_ms, SystemClock.unix_ms());
        format!("{}  expires {expires}\n", workload.name)
    })
}
