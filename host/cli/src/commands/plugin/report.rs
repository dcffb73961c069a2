//! A report of a swap, for people.

use fleet_model::swap::{FailedHandle, StageTime, SwapKind, SwapReport, SwapSide, SwapVerdict};

use super::ls::short;
use crate::commands::table::pairs;

/// All of it.
pub(super) fn people(report: &SwapReport) -> String {
    let row = |key: &str, value: String| (key.to_owned(), value);
    let sides = |of: fn(&SwapSide) -> String| {
        let side = |side: &Option<SwapSide>| side.as_ref().map(of);
        change(side(&report.from), side(&report.to))
    };
    let handles = report.handles;
    let mut rows = vec![
        row("plugin", place(report)),
        row("verdict", verdict(report)),
        row("version", sides(|side| side.version.clone())),
        row("digest", sides(|side| short(&side.digest))),
        row("took", took(report)),
        row("stages", stages(&report.stages)),
    ];
    if handles.looked_at > 0 {
        rows.push(row(
            "handles",
            format!("{} of {} adopted", handles.adopted, handles.looked_at),
        ));
    }
    rows.push(row("lost", lines(report.failed_handles.iter().map(failed))));
    if report.active_after_ms.is_some() {
        let calls = report.calls;
        rows.push(row(
            "calls",
            format!(
                "{} ended on the old code, {} asked again on the new",
                calls.drained, calls.reissued
            ),
        ));
    }
    let probation = report.probation_ms.filter(|probation| *probation > 0);
    rows.push(row(
        "probation",
        probation.map_or_else(String::new, |ms| format!("{} s", ms.div_ceil(1_000))),
    ));
    let reason = report.reason.as_ref();
    rows.push(row(
        "why",
        reason.map_or_else(String::new, |reason| {
            format!("{} ({})", reason.message.trim_end(), reason.code)
        }),
    ));
    rows.push(row("remarks", lines(report.remarks.iter().cloned())));
    pairs(rows)
}

/// Which plugin, and where.
fn place(report: &SwapReport) -> String {
    if report.node.is_empty() {
        report.plugin.clone()
    } else {
        format!("{} on {}", report.plugin, report.node)
    }
}

fn verdict(report: &SwapReport) -> String {
    match (report.verdict, report.kind) {
        (SwapVerdict::Active, SwapKind::Swap) => "active".to_owned(),
        (SwapVerdict::Active, SwapKind::Rollback) => "rolled back".to_owned(),
        (SwapVerdict::Rejected, _) => "rejected, nothing has changed".to_owned(),
        (SwapVerdict::DryRun, _) => "it would be taken, nothing has changed".to_owned(),
    }
}

/// From what to what, as far as it is known.
pub(super) fn change(from: Option<String>, to: Option<String>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("{from} -> {to}"),
        (one, other) => one.or(other).unwrap_or_default(),
    }
}

fn took(report: &SwapReport) -> String {
    match report.active_after_ms {
        Some(active) => format!("{} ms, in use after {active} ms", report.took_ms),
        None => format!("{} ms", report.took_ms),
    }
}

fn stages(stages: &[StageTime]) -> String {
    let told = stages
        .iter()
        .map(|StageTime { stage, took_ms }| format!("{stage} {took_ms} ms"));
    told.collect::<Vec<_>>().join(", ")
}

fn failed(handle: &FailedHandle) -> String {
    let FailedHandle {
        name,
        was,
        is,
        reason,
        ..
    } = handle;
    let why = if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    };
    format!("{name}, {was} for the old code, {is} for the new{why}")
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// One that was taken.
#[cfg(test)]
pub(super) fn example() -> SwapReport {
    let side = |digit: &str, version: &str| serde_json::json!({"digest": digit.repeat(64), "manifest": "c".repeat(64), "version": version});
    serde_json::from_value(serde_json::json!({
        "id": 3, "plugin": "mock", "node": "attic", "kind": "swap", "cause": "upload", "at_ms": 1_000, "took_ms": 96,
        "active_after_ms": 84, "from": side("a", "0.1.0"), "to": side("b", "0.1.0+next"),
        "stages": [{"stage": "verified", "took_ms": 3}, {"stage": "active", "took_ms": 81}],
        "handles": {"looked_at": 50, "adopted": 50, "failed": 0}, "calls": {"drained": 3, "reissued": 1},
        "verdict": "active", "probation_ms": 60_000,
    }))
    .unwrap()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_swap_says_what_it_did_to_what_was_running() {
        assert_eq!(
            people(&example()),
            "plugin:    mock on attic\n\
             verdict:   active\n\
             version:   0.1.0 -> 0.1.0+next\n\
             digest:    aaaaaaaaaaaa -> bbbbbbbbbbbb\n\
             took:      96 ms, in use after 84 ms\n\
             stages:    verified 3 ms, active 81 ms\n\
             handles:   50 of 50 adopted\n\
             calls:     3 ended on the old code, 1 asked again on the new\n\
             probation: 60 s\n"
        );
    }

    #[test]
    fn a_rejection_says_why_and_for_whom() {
        let mut report = serde_json::to_value(example()).unwrap();
        for (key, value) in [
            ("verdict", json!("rejected")),
            ("to", json!(null)),
            ("active_after_ms", json!(null)),
            ("probation_ms", json!(null)),
            (
                "handles",
                json!({"looked_at": 2, "adopted": 1, "failed": 1}),
            ),
            (
                "failed_handles",
                json!([{"item": "workload/wl_1", "name": "web", "was": "running", "is": "lost", "reason": "no such pid"}]),
            ),
            (
                "reason",
                json!({"code": "adoption", "message": "it does not know what runs"}),
            ),
            ("remarks", json!(["goes back from 2 to 1"])),
        ] {
            report[key] = value;
        }
        let text = people(&serde_json::from_value(report).unwrap());
        for want in [
            "verdict: rejected, nothing has changed\n",
            "version: 0.1.0\n",
            "handles: 1 of 2 adopted\n",
            "lost:    web, running for the old code, lost for the new: no such pid\n",
            "why:     it does not know what runs (adoption)\n",
            "remarks: goes back from 2 to 1\n",
        ] {
            assert!(text.contains(want), "{want}: {text}");
        }
        assert!(!text.contains("calls"), "{text}");
    }
}
