//! The tables, as Markdown. Pure: records in, text out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Record;
use super::figure;
use crate::finding::{Finding, Goal, Role, Series};
use crate::verdict::{Verdict, judge, ratio};

const HEAD: &str = "\
# Benchmarks

`cargo xtask bench` writes this page and [benchmarks.json](benchmarks.json), which holds every value.

Each benchmark runs its contestants one after the other in rounds: ours, the floor (the least that would do
the same on this machine), the peers (other programs that do it). What counts are the **ratios within a
round**; absolute times are context. Figures are medians with the smallest and largest value of all rounds.
Of all figures less is better.
";

/// The whole page.
pub(super) fn document(records: &[Record]) -> String {
    format!("{HEAD}{}", tables(records))
}

/// A table and what belongs to it, for each machine.
pub(super) fn tables(records: &[Record]) -> String {
    let mut machines: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        machines.entry(&record.machine).or_default().push(record);
    }
    let mut text = String::new();
    for (machine, records) in machines {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {machine}\n\n{}", table(&records));
        text.push_str(&context(&records));
        text.push_str(&notes(&records));
        text.push_str(&missing(&records));
    }
    text
}

fn table(records: &[&Record]) -> String {
    let mut text = String::from(
        "| id | work | ours | floor | peers | ours / floor | peer / ours | goals | rounds |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for Record {
        finding, rounds, ..
    } in records
    {
        let named =
            |series: &Series| format!("{}: {}", series.name, figure::series(series, finding.unit));
        let cells = [
            finding.id.clone(),
            finding.work.clone(),
            finding
                .ours()
                .map_or_else(none, |ours| figure::series(ours, finding.unit)),
            lines(finding.of(Role::Floor).map(named)),
            lines(finding.of(Role::Peer).map(named)),
            lines(
                finding
                    .floor()
                    .and_then(|floor| to_ours(finding, floor, Direction::OursOver)),
            ),
            lines(
                finding
                    .of(Role::Peer)
                    .filter_map(|peer| to_ours(finding, peer, Direction::OverOurs)),
            ),
            lines(finding.goals.iter().map(|goal| goal_line(goal, finding))),
            rounds.to_string(),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

enum Direction {
    OursOver,
    OverOurs,
}

fn to_ours(finding: &Finding, other: &Series, direction: Direction) -> Option<String> {
    let ours = finding.ours()?;
    match direction {
        Direction::OursOver => ratio(ours, other).map(figure::ratio),
        Direction::OverOurs => {
            ratio(other, ours).map(|summary| format!("{}: {}", other.name, figure::ratio(summary)))
        }
    }
}

/// `<= 2 x floor: missed by 1.25 x`.
fn goal_line(goal: &Goal, finding: &Finding) -> String {
    let asked = match goal {
        Goal::TimesFloor { at_most } => format!("≤ {at_most} × floor"),
        Goal::AddsToFloor { at_most } => format!(
            "≤ {} more than the floor",
            figure::value(*at_most, finding.unit)
        ),
        Goal::TimesSeries { series, at_most } => format!("≤ {at_most} × {series}"),
        Goal::PeersTake {
            peer: Some(peer),
            at_least,
        } => format!("≥ {at_least} × faster than {peer}"),
        Goal::PeersTake {
            peer: None,
            at_least,
        } => format!("≥ {at_least} × faster than peers"),
        Goal::AtMost { value } => format!("≤ {}", figure::value(*value, finding.unit)),
    };
    match judge(goal, finding) {
        Verdict::Met(_) => format!("{asked}: **met**"),
        Verdict::Missed(_, by) => format!("{asked}: **missed** by {} ×", figure::digits(by)),
        Verdict::NotMeasured => format!("{asked}: not measured"),
    }
}

/// What was measured besides.
fn context(records: &[&Record]) -> String {
    let mut text = String::new();
    for Record { finding, .. } in records {
        for series in finding.of(Role::Context) {
            let share = to_ours(finding, series, Direction::OursOver).unwrap_or_else(none);
            let figure = figure::series(series, finding.unit);
            let _ = writeln!(
                text,
                "| {} | {} | {figure} | {share} |",
                finding.id, series.name
            );
        }
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "\nMeasured beside these, in the same rounds:\n\n| id | what | took | ours / this |\n|---|---|---|---|\n{text}"
    )
}

fn notes(records: &[&Record]) -> String {
    let notes = records.iter().flat_map(|record| {
        let finding = &record.finding;
        finding
            .notes
            .iter()
            .map(move |note| format!("* {}: {note}\n", finding.id))
    });
    section("How to read them", notes)
}

fn missing(records: &[&Record]) -> String {
    let missing = records.iter().flat_map(|record| {
        let finding = &record.finding;
        finding.missing.iter().map(move |peer| {
            format!(
                "* {}: {} was not there. To get it: {}\n",
                finding.id, peer.name, peer.how
            )
        })
    });
    section("Not measured", missing)
}

/// A list under a heading, each line once; nothing where there is none.
fn section(heading: &str, lines: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for line in lines {
        if !text.contains(&line) {
            text.push_str(&line);
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{heading}:\n\n{text}")
    }
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    let lines: Vec<String> = lines.into_iter().collect();
    if lines.is_empty() {
        none()
    } else {
        lines.join("<br>")
    }
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Missing, Unit};
    use crate::statistics::Samples;

    #[test]
    fn a_row_tells_figures_ratios_and_verdicts() {
        let series = |name: &str, role, values: [f64; 2]| Series {
            name: name.to_owned(),
            role,
            samples: Samples(values.to_vec()),
        };
        let record = Record {
            machine: "2 CPUs".into(),
            rounds: 2,
            finding: Finding {
                id: "P1".into(),
                work: "a call".into(),
                unit: Unit::Seconds,
                series: vec![
                    series("ours", Role::Ours, [2e-6, 4e-6]),
                    series("bare", Role::Floor, [1e-6, 2e-6]),
                    series("gRPC", Role::Peer, [20e-6, 40e-6]),
                    series("twice", Role::Context, [4e-6, 8e-6]),
                ],
                missing: vec![Missing {
                    name: "x".into(),
                    how: "`npm i x`".into(),
                }],
                goals: vec![
                    Goal::TimesFloor { at_most: 1.0 },
                    Goal::PeersTake {
                        peer: None,
                        at_least: 10.0,
                    },
                ],
                notes: vec!["only so".into()],
            },
        };
        let text = document(&[record]);
        for want in [
            "\n## 2 CPUs\n\n| id | work |",
            "\n| P1 | a call | 3.00 µs (2.00–4.00) | bare: 1.50 µs (1.00–2.00) | gRPC: 30.0 µs (20.0–40.0) | 2.00 × (2.00–2.00) | gRPC: 10.0 × (10.0–10.0) | ≤ 1 × floor: **missed** by 2.00 ×<br>≥ 10 × faster than peers: **met** | 2 |\n",
            "\n| P1 | twice | 6.00 µs (4.00–8.00) | 0.50 × (0.50–0.50) |\n",
            "\n* P1: only so\n",
            "\n* P1: x was not there. To get it: `npm i x`\n",
        ] {
            assert!(text.contains(want), "{want} is not in\n{text}");
        }
    }
}
