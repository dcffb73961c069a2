//! Waits for the end of a swap, and tells it.

use fleet_client::{SwapFollow, SwapStep};
use fleet_model::swap::{SwapKind, SwapReport, SwapVerdict};

use super::report;
use crate::app::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;

/// Shows how far it is, then what became of it. What was rejected is a failure after its report.
pub(super) async fn end(
    mut swap: SwapFollow,
    name: &str,
    context: &mut Context,
) -> Result<(), Failure> {
    let progress = Progress::begin(format!("{name}: on its way"));
    let report = loop {
        match swap.next().await? {
            SwapStep::Stage(state) => progress.say(format!("{name}: {state}")),
            SwapStep::Report(report) => break report,
        }
    };
    drop(progress);
    context.output.answer(&report, || report::people(&report))?;
    verdict(&report)
}

/// A rejection is a failure, with the lines to copy as its help.
pub(super) fn verdict(report: &SwapReport) -> Result<(), Failure> {
    if report.verdict != SwapVerdict::Rejected {
        return Ok(());
    }
    let message = report
        .reason
        .as_ref()
        .map_or("no reason given", |reason| reason.message.as_str());
    // The first line says what is wrong; what follows are lines to copy.
    let (first, rest) = message.split_once('\n').unwrap_or((message, ""));
    let failure = Failure::new(
        Exit::Refused,
        format!(
            "the {} of {} is rejected: {}",
            match report.kind {
                SwapKind::Swap => "new version",
                SwapKind::Rollback => "rollback",
            },
            report.plugin,
            first.trim_end()
        ),
    );
    Err(if rest.trim().is_empty() {
        failure
    } else {
        failure.help(rest.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use fleet_model::swap::SwapReason;

    use super::super::report::example;
    use super::*;

    #[test]
    fn only_a_rejection_is_a_failure_and_its_lines_to_copy_are_the_help() {
        let mut report = example();
        for verdict_of in [SwapVerdict::Active, SwapVerdict::DryRun] {
            report.verdict = verdict_of;
            verdict(&report).unwrap();
        }
        report.verdict = SwapVerdict::Rejected;
        report.reason = Some(SwapReason {
            code: "needs-grant".into(),
            message: "asks for the clock; add to g.toml:\n  [mock]\n  clock = true\n".into(),
        });
        let failure = verdict(&report).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(
            failure.message,
            "the new version of mock is rejected: asks for the clock; add to g.toml:"
        );
        assert_eq!(failure.help.as_deref(), Some("  [mock]\n  clock = true"));
    }
}
