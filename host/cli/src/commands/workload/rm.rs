//! `workload rm`.
//!
//! All are asked to go first and waited for then, so that their grace runs side by side. One that
//! fails does not keep the others.

use clap::{ArgGroup, Args};
use fleet_client::{Client, ClientError, Page, WorkloadQuery};
use fleet_model::workload::Workload;

use super::Ending;
use super::obstacles::Obstacles;
use super::stop::still;
use crate::app::Context;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::progress::Progress;

/// Its arguments.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["names", "all"])))]
pub(crate) struct RmArgs {
    /// Their names or ids
    #[arg(value_name = "ID")]
    names: Vec<String>,
    /// All there are
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    ending: Ending,
}

/// Removes them and waits until they are gone.
pub(crate) async fn run(args: &RmArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    let names = if args.all {
        let all = client.workloads(&WorkloadQuery::default()).await?;
        all.into_iter()
            .map(|workload| workload.id.to_string())
            .collect()
    } else {
        args.names.clone()
    };
    let mut worst = Exit::Done;
    let mut fail = |failure: Failure, context: &mut Context| -> Result<(), Failure> {
        if failure.unauthenticated || failure.exit == Exit::Unavailable {
            return Err(failure);
        }
        let exit = context.output.failure(&failure);
        worst = if worst == Exit::Done { exit } else { worst };
        Ok(())
    };
    let mut leaving = Vec::new();
    for name in &names {
        match client.remove(name, args.ending.grace).await {
            Ok(workload) => leaving.push(workload),
            // Whoever took it away first has done what all of them should be.
            Err(error) if args.all && error.is_not_found() => {}
            Err(error) => fail(error.into(), context)?,
        }
    }
    if !args.ending.no_wait {
        gone(&client, &leaving, &args.ending, &mut context.output).await?;
    }
    context
        .output
        .answer(&Page::complete(leaving.iter().collect()), || {
            told(args, &leaving)
        })?;
    if worst == Exit::Done {
        Ok(())
    } else {
        Err(Failure::told(worst))
    }
}

async fn gone(
    client: &Client,
    leaving: &[Workload],
    ending: &Ending,
    output: &mut Output,
) -> Result<(), Failure> {
    let progress = Progress::begin("removing");
    let mut obstacles = Obstacles::default();
    let wait = async {
        for (index, workload) in leaving.iter().enumerate() {
            progress.say(format!(
                "removing {} ({} of {})",
                workload.name,
                index + 1,
                leaving.len()
            ));
            let seen = |now: &Workload| progress.aside(|| obstacles.see(now, output));
            client.wait_gone(workload.id, seen).await?;
        }
        Ok::<_, ClientError>(())
    };
    if let Ok(outcome) = tokio::time::timeout(ending.patience(), wait).await {
        return Ok(outcome?);
    }
    drop(progress);
    let mut left = Vec::new();
    for workload in leaving {
        if let Ok(now) = client.workload(&workload.id.to_string()).await {
            obstacles.see(&now, output);
            left.push(now.name.to_string());
        }
    }
    match left.as_slice() {
        [] => Ok(()),
        [one] => Err(still(one, ending)),
        [first, ..] => {
            let patience = humantime::format_duration(ending.patience());
            let names = left.join(", ");
            let message = format!("{names} are not gone after {patience}; the host goes on trying");
            Err(Failure::new(Exit::Unavailable, message).help(format!(
                "`fleet-host workload show {first}` says why, of each"
            )))
        }
    }
}

fn told(args: &RmArgs, leaving: &[Workload]) -> String {
    let verb = if args.ending.no_wait {
        "removing"
    } else {
        "removed"
    };
    if args.all {
        let plural = if leaving.len() == 1 { "" } else { "s" };
        return format!("{verb} {} workload{plural}\n", leaving.len());
    }
    leaving
        .iter()
        .map(|workload| format!("{verb} {}\n", workload.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::workload;
    use super::*;

    #[test]
    fn all_says_how_many_and_names_are_named() {
        let args = |all, no_wait| RmArgs {
            names: vec![],
            all,
            ending: Ending {
                grace: None,
                no_wait,
                timeout: None,
            },
        };
        let two = [workload(json!({})), workload(json!({"name": "db"}))];
        assert_eq!(told(&args(true, false), &two), "removed 2 workloads\n");
        assert_eq!(told(&args(true, true), &two[..1]), "removing 1 workload\n");
        assert_eq!(told(&args(true, false), &[]), "removed 0 workloads\n");
        assert_eq!(told(&args(false, false), &two), "removed web\nremoved db\n");
    }
}
