//! `plugin history`.

use clap::Args;
use fleet_client::Page;
use fleet_model::swap::{SwapReport, SwapVerdict};
use fleet_seam::{Clock as _, SystemClock};

use super::report::change;
use crate::app::Context;
use crate::commands::table::table;
use crate::failure::Failure;
use crate::time::age;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Its name
    name: String,
    /// On which node, where several have it
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

/// Lists all that is kept, the newest first.
pub(crate) async fn run(args: &HistoryArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    let (mut all, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = client
            .plugin_history(&args.name, args.node.as_deref(), cursor.as_deref())
            .await?;
        all.extend(page.items);
        match page.next {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            _ => break,
        }
    }
    let page = Page::complete(all);
    context
        .output
        .answer(&page, || people(&page.items, SystemClock.unix_ms()))
}

fn people(reports: &[SwapReport], now_ms: u64) -> String {
    table(
        [
            "ID", "WHEN", "WHAT", "BY", "VERSION", "TOOK", "VERDICT", "REASON",
        ],
        reports.iter().map(|report| {
            let version = |side: &Option<fleet_model::swap::SwapSide>| {
                side.as_ref().map(|side| side.version.clone())
            };
            let verdict = match report.verdict {
                SwapVerdict::DryRun => "dry run".to_owned(),
                verdict => verdict.to_string(),
            };
            let reason = report.reason.as_ref();
            [
                report.id.to_string(),
                format!("{} ago", age(report.at_ms, now_ms)),
                report.kind.to_string(),
                report.cause.to_string(),
                change(version(&report.from), version(&report.to)),
                format!("{} ms", report.took_ms),
                verdict,
                reason.map_or_else(String::new, |reason| reason.message.clone()),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use fleet_model::swap::SwapReason;

    use super::super::report::example;
    use super::*;

    #[test]
    fn the_newest_is_first_and_a_rejection_has_its_reason() {
        let mut rejected = example();
        rejected.id = 4;
        rejected.verdict = SwapVerdict::Rejected;
        rejected.reason = Some(SwapReason {
            code: "describe".into(),
            message: "it traps".into(),
        });
        assert_eq!(
            people(&[rejected, example()], 31_000),
            "ID  WHEN     WHAT  BY      VERSION              TOOK   VERDICT   REASON\n\
             4   30s ago  swap  upload  0.1.0 -> 0.1.0+next  96 ms  rejected  it traps\n\
             3   30s ago  swap  upload  0.1.0 -> 0.1.0+next  96 ms  active    -\n"
        );
    }
}
