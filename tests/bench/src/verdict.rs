//! Whether a finding meets a goal: by the median of the ratios of each round.

use crate::finding::{Finding, Goal, Role, Series};
use crate::statistics::Summary;

/// How a goal came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// Met; this is what was measured.
    Met(Summary),
    /// Missed; this is what was measured, and by how many times it is off.
    Missed(Summary, f64),
    /// What it compares with was not measured.
    NotMeasured,
}

/// Judges one goal. Of several peers the one that makes it hardest decides.
#[must_use]
pub(crate) fn judge(goal: &Goal, finding: &Finding) -> Verdict {
    match goal {
        Goal::TimesFloor { at_most } => at_most_times(finding, finding.floor(), *at_most),
        Goal::AddsToFloor { at_most } => finding
            .ours()
            .zip(finding.floor())
            .and_then(|(ours, floor)| ours.samples.minus(&floor.samples).summary())
            .map_or(Verdict::NotMeasured, |summary| limited(summary, *at_most)),
        Goal::TimesSeries { series, at_most } => {
            at_most_times(finding, finding.named(series), *at_most)
        }
        Goal::AtMost { value } => match finding.ours().and_then(|ours| ours.samples.summary()) {
            Some(summary) => limited(summary, *value),
            None => Verdict::NotMeasured,
        },
        Goal::PeersTake { peer, at_least } => finding
            .of(Role::Peer)
            .filter(|series| peer.as_ref().is_none_or(|peer| *peer == series.name))
            .filter_map(|series| ratio(series, finding.ours()?))
            .min_by(|one, other| one.median.total_cmp(&other.median))
            .map_or(Verdict::NotMeasured, |summary| reached(summary, *at_least)),
    }
}

/// How many times `other` a series is, round by round.
#[must_use]
pub(crate) fn ratio(series: &Series, other: &Series) -> Option<Summary> {
    series.samples.times(&other.samples).summary()
}

fn at_most_times(finding: &Finding, other: Option<&Series>, at_most: f64) -> Verdict {
    let summary = finding
        .ours()
        .zip(other)
        .and_then(|(ours, other)| ratio(ours, other));
    summary.map_or(Verdict::NotMeasured, |summary| limited(summary, at_most))
}

fn limited(summary: Summary, at_most: f64) -> Verdict {
    if summary.median <= at_most {
        Verdict::Met(summary)
    } else {
        Verdict::Missed(summary, summary.median / at_most)
    }
}

fn reached(summary: Summary, at_least: f64) -> Verdict {
    if summary.median >= at_least {
        Verdict::Met(summary)
    } else {
        Verdict::Missed(summary, at_least / summary.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Unit;
    use crate::statistics::Samples;

    fn finding() -> Finding {
        let series = |name: &str, role, values: [f64; 3]| Series {
            name: name.to_owned(),
            role,
            samples: Samples(values.to_vec()),
        };
        Finding {
            id: "P0".into(),
            work: String::new(),
            unit: Unit::Seconds,
            series: vec![
                series("ours", Role::Ours, [2.0, 4.0, 2.0]),
                series("floor", Role::Floor, [1.0, 2.0, 1.0]),
                series("slow", Role::Peer, [40.0, 80.0, 40.0]),
                series("quick", Role::Peer, [10.0, 20.0, 10.0]),
                series("before", Role::Context, [4.0, 4.0, 4.0]),
            ],
            missing: Vec::new(),
            goals: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// How a goal came out, in a word and by how much it was missed.
    fn told(goal: &Goal) -> (&'static str, f64) {
        match judge(goal, &finding()) {
            Verdict::Met(summary) => ("met", summary.median),
            Verdict::Missed(_, by) => ("missed", by),
            Verdict::NotMeasured => ("not measured", 0.0),
        }
    }

    #[test]
    fn goals_are_judged_by_the_median_of_the_rounds() {
        let take = |peer: Option<&str>, at_least| Goal::PeersTake {
            peer: peer.map(str::to_owned),
            at_least,
        };
        let times = |series: &str, at_most| Goal::TimesSeries {
            series: series.to_owned(),
            at_most,
        };
        for (goal, expected) in [
            (Goal::TimesFloor { at_most: 2.0 }, ("met", 2.0)),
            (Goal::TimesFloor { at_most: 1.0 }, ("missed", 2.0)),
            (Goal::AddsToFloor { at_most: 1.0 }, ("met", 1.0)),
            (Goal::AddsToFloor { at_most: 0.5 }, ("missed", 2.0)),
            (Goal::AtMost { value: 2.0 }, ("met", 2.0)),
            (Goal::AtMost { value: 0.5 }, ("missed", 4.0)),
            (times("before", 0.5), ("met", 0.5)),
            (times("nobody", 0.5), ("not measured", 0.0)),
            (take(Some("slow"), 20.0), ("met", 20.0)),
            (take(Some("absent"), 20.0), ("not measured", 0.0)),
        ] {
            assert_eq!(told(&goal), expected, "{goal:?}");
        }
    }

    #[test]
    fn of_several_peers_the_quickest_decides() {
        let goal = |at_least| Goal::PeersTake {
            peer: None,
            at_least,
        };
        assert_eq!(told(&goal(5.0)), ("met", 5.0));
        assert_eq!(told(&goal(20.0)), ("missed", 4.0));
    }
}
