//! `workload stats`: what workloads use, once or followed.

mod rows;

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use fleet_client::{AllUsage, Client, MissingNode, StatsQuery};

use crate::app::Context;
use crate::commands::table::table;
use crate::failure::Failure;
use crate::output::Output;
use rows::{COLUMNS, RATES, Rates, TOTALS, line, row};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Its name or id; all that run if absent
    #[arg(value_name = "ID")]
    name: Option<String>,
    /// Go on: in a terminal the table is renewed, else each look is a line
    #[arg(long, short)]
    follow: bool,
    /// Begin with what was seen in the last hour
    #[arg(long, requires = "name")]
    history: bool,
}

/// How often all of them are asked for.
const EVERY: Duration = Duration::from_secs(5);

/// Clears a terminal, and writes from its top left.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows what is used.
pub(crate) async fn run(args: &StatsArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    match &args.name {
        Some(name) => of_one(&client, name, args, &mut context.output).await,
        None if args.follow => all_again_and_again(&client, &mut context.output).await,
        None => {
            let all = client.all_stats().await?;
            context.output.answer(&all, || {
                table(
                    COLUMNS.with(TOTALS),
                    all.items.iter().map(|one| row(one, None)),
                )
            })?;
            match context.output.is_json() {
                true => Ok(()),
                false => tell(&all.missing, &mut context.output),
            }
        }
    }
}

async fn of_one(
    client: &Client,
    name: &str,
    args: &StatsArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut looks = client.stats(
        name,
        StatsQuery {
            history: args.history,
            follow: args.follow,
        },
    );
    let is_list = args.follow || args.history;
    let is_drawn = args.follow && !args.history && std::io::stdout().is_terminal();
    let mut rates = Rates::default();
    let mut is_first = true;
    while let Some(one) = looks.next().await? {
        let rate = rates.since_last(&one);
        if output.is_json() {
            match is_list {
                true => output.json_line(&one)?,
                false => output.answer(&one, String::new)?,
            }
        } else if is_drawn {
            let drawn = table(COLUMNS.with(RATES), [row(&one, Some(rate))]);
            output.text(&format!("{CLEAR}{drawn}"))?;
        } else if is_list {
            if is_first {
                output.text(&line(&COLUMNS.timed(RATES)))?;
            }
            output.text(&rows::timed(&one, rate))?;
        } else {
            output.text(&table(COLUMNS.with(TOTALS), [row(&one, None)]))?;
            if one.sample.is_none() {
                output.warning(&format!(
                    "{} is not running, or has not been looked at yet",
                    one.name
                ))?;
            }
        }
        is_first = false;
    }
    Ok(())
}

/// A node has no stream of everybody's looks: it is asked again.
async fn all_again_and_again(client: &Client, output: &mut Output) -> Result<(), Failure> {
    let is_drawn = std::io::stdout().is_terminal() && !output.is_json();
    let mut rates = Rates::default();
    let mut missing = Vec::new();
    if !is_drawn && !output.is_json() {
        output.text(&line(&COLUMNS.timed(RATES)))?;
    }
    loop {
        let all = client.insisting(EVERY * 12).all_stats().await?;
        if output.is_json() {
            output.json_line(&all)?;
        } else if is_drawn {
            let drawn = table(
                COLUMNS.with(RATES),
                all.items
                    .iter()
                    .map(|one| row(one, Some(rates.since_last(one)))),
            );
            output.text(&format!("{CLEAR}{drawn}"))?;
            tell(&all.missing, output)?;
        } else {
            for one in &all.items {
                let rate = rates.since_last(one);
                output.text(&rows::timed(one, rate))?;
            }
            // Said again only when it is another story.
            if all.missing != missing {
                tell(&all.missing, output)?;
            }
        }
        rates.keep_only(&all.items);
        let AllUsage { missing: now, .. } = all;
        missing = now;
        tokio::time::sleep(EVERY).await;
    }
}

fn tell(missing: &[MissingNode], output: &mut Output) -> Result<(), Failure> {
    for MissingNode { node, detail } in missing {
        output.warning(&format!(
            "the workloads of node {node} are missing: {detail}"
        ))?;
    }
    Ok(())
}
