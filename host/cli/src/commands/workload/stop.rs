//! `workload stop`.

use clap::Args;
use fleet_model::workload::Workload;

use super::obstacles::Obstacles;
use super::{Ending, outcome};
use crate::app::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Its name or id
    #[arg(value_name = "ID")]
    name: String,
    #[command(flatten)]
    ending: Ending,
}

/// Stops it and waits until its runtime is down.
pub(crate) async fn run(args: &StopArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    let mut workload = client.stop(&args.name, args.ending.grace).await?;
    if !args.ending.no_wait {
        let progress = Progress::begin(format!("{} is {}", workload.name, workload.state));
        let (id, generation) = (workload.id, workload.generation);
        let output = &mut context.output;
        let mut obstacles = Obstacles::default();
        let down = |now: &Workload| {
            progress.say(format!("{} is {}", now.name, now.state));
            let is_down = now.state.has_ended();
            if !is_down {
                progress.aside(|| obstacles.see(now, output));
            }
            is_down
        };
        let waited = tokio::time::timeout(
            args.ending.patience(),
            client.wait_for(id, generation, down),
        )
        .await;
        workload = waited.map_err(|_| still(&workload.name, &args.ending))??;
    }
    context
        .output
        .answer(&workload, || outcome::line(&workload))
}

/// It goes on, and somebody should look.
pub(super) fn still(name: impl std::fmt::Display, ending: &Ending) -> Failure {
    let patience = humantime::format_duration(ending.patience());
    Failure::new(
        Exit::Unavailable,
        format!("{name} is not down after {patience}; the host goes on trying"),
    )
    .help(format!("`fleet-host workload show {name}` says why"))
}
