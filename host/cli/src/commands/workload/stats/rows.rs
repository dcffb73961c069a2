//! Looks as people read them.

use std::collections::BTreeMap;

use fleet_client::WorkloadUsage;
use fleet_model::WorkloadId;
use fleet_model::stats::Sample;

use crate::time::stamp;

/// What is the same in every table.
pub(super) struct Columns([&'static str; 4]);

/// The columns.
pub(super) const COLUMNS: Columns = Columns(["NAME", "CPU", "MEMORY", "PROCESSES"]);
/// What was read and written since the workload began.
pub(super) const TOTALS: [&str; 2] = ["READ", "WRITTEN"];
/// What is read and written in a second.
pub(super) const RATES: [&str; 2] = ["READ/S", "WRITTEN/S"];

impl Columns {
    pub(super) fn with(&self, last: [&'static str; 2]) -> [&'static str; 6] {
        let ([a, b, c, d], [e, f]) = (self.0, last);
        [a, b, c, d, e, f]
    }

    pub(super) fn timed(&self, last: [&'static str; 2]) -> [String; 7] {
        let [a, b, c, d, e, f] = self.with(last).map(str::to_owned);
        ["TIME".to_owned(), a, b, c, d, e, f]
    }
}

/// Bytes a second, read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rate {
    read: Option<u64>,
    written: Option<u64>,
}

/// The looks that rates are computed from.
#[derive(Debug, Default)]
pub(super) struct Rates(BTreeMap<WorkloadId, Sample>);

impl Rates {
    /// Bytes a second since the look before at the same workload.
    pub(super) fn since_last(&mut self, now: &WorkloadUsage) -> Rate {
        let Some(sample) = now.sample else {
            return Rate::default();
        };
        let Some(before) = self.0.insert(now.id, sample) else {
            return Rate::default();
        };
        let span_ms = sample.at_ms.saturating_sub(before.at_ms);
        // A counter that is lower than before belongs to another run.
        let a_second = |now: Option<u64>, before: Option<u64>| {
            let bytes = now?.checked_sub(before?)?;
            bytes.saturating_mul(1_000).checked_div(span_ms)
        };
        Rate {
            read: a_second(sample.usage.read_bytes, before.usage.read_bytes),
            written: a_second(sample.usage.written_bytes, before.usage.written_bytes),
        }
    }

    /// Forgets workloads that run no more.
    pub(super) fn keep_only(&mut self, items: &[WorkloadUsage]) {
        self.0.retain(|id, _| items.iter().any(|one| one.id == *id));
    }
}

/// A look as a row of a table; with a rate where there is to be one, else with totals.
pub(super) fn row(one: &WorkloadUsage, rate: Option<Rate>) -> [String; 6] {
    let usage = one.sample.map(|sample| sample.usage).unwrap_or_default();
    let (read, written) = match rate {
        Some(rate) => (rate.read, rate.written),
        None => (usage.read_bytes, usage.written_bytes),
    };
    let shown = |bytes: Option<u64>| bytes.map(size).unwrap_or_default();
    [
        one.name.to_string(),
        one.sample
            .and_then(|sample| sample.cpu_millis)
            .map(processors)
            .unwrap_or_default(),
        shown(usage.memory_bytes),
        usage
            .processes
            .map(|count| count.to_string())
            .unwrap_or_default(),
        shown(read),
        shown(written),
    ]
}

/// A look as a line of its own, with its time.
pub(super) fn timed(one: &WorkloadUsage, rate: Rate) -> String {
    let time = one.sample.map(|sample| stamp(sample.at_ms));
    let [a, b, c, d, e, f] = row(one, Some(rate));
    line(&[time.unwrap_or_default(), a, b, c, d, e, f])
}

/// Columns that stand below each other although no line knows of the next.
pub(super) fn line(cells: &[String; 7]) -> String {
    const WIDTHS: [usize; 7] = [20, 16, 6, 9, 9, 9, 9];
    let cells = cells.iter().zip(WIDTHS).map(|(cell, width)| {
        let cell = if cell.is_empty() { "-" } else { cell };
        format!("{cell:<width$}")
    });
    let text = cells.collect::<Vec<_>>().join("  ");
    format!("{}\n", text.trim_end())
}

/// Thousandths of a processor as a workload's `cpu` limit is written.
fn processors(millis: u32) -> String {
    format!("{}.{:02}", millis / 1_000, millis % 1_000 / 10)
}

/// A number of bytes in the largest unit of which there is one, with one digit behind the point.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{}{name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::stats::Usage;

    use super::*;
    use crate::commands::table::table;

    fn look(name: &str, at_ms: u64, read_bytes: u64) -> WorkloadUsage {
        WorkloadUsage {
            id: WorkloadId::new(1, name.len() as u128),
            name: name.parse().unwrap(),
            sample: Some(Sample {
                at_ms,
                cpu_millis: Some(256),
                usage: Usage {
                    cpu_us: Some(1),
                    memory_bytes: Some(3 << 19),
                    processes: Some(4),
                    read_bytes: Some(read_bytes),
                    written_bytes: None,
                },
            }),
        }
    }

    #[test]
    fn a_table_has_what_one_looks_for_and_nothing_for_what_is_not_known() {
        let idle = WorkloadUsage {
            sample: None,
            ..look("idle", 0, 0)
        };
        let text = table(
            COLUMNS.with(TOTALS),
            [row(&look("web", 1, 2048), None), row(&idle, None)],
        );
        assert_eq!(
            text,
            "NAME  CPU   MEMORY  PROCESSES  READ    WRITTEN\n\
             web   0.25  1.5MiB  4          2.0KiB  -\n\
             idle  -     -       -          -       -\n"
        );
    }

    #[test]
    fn rates_are_between_two_looks_at_one_run() {
        let mut rates = Rates::default();
        let read = |rates: &mut Rates, look: &WorkloadUsage| rates.since_last(look).read;
        assert_eq!(read(&mut rates, &look("web", 1_000, 100)), None);
        assert_eq!(read(&mut rates, &look("other", 1_500, 900)), None);
        assert_eq!(read(&mut rates, &look("web", 3_000, 2_100)), Some(1_000));
        assert_eq!(
            read(&mut rates, &look("web", 4_000, 5)),
            None,
            "another run"
        );
        assert_eq!(read(&mut rates, &look("web", 4_000, 9)), None, "no time");
        rates.keep_only(&[look("other", 0, 0)]);
        assert_eq!(rates.0.len(), 1);
    }

    #[test]
    fn lines_stand_below_each_other() {
        let text = line(&COLUMNS.timed(RATES))
            + &timed(&look("web", 1_700_000_000_000, 0), Rate::default());
        assert_eq!(
            text,
            "TIME                  NAME              CPU     MEMORY     PROCESSES  READ/S     WRITTEN/S\n\
             2023-11-14T22:13:20Z  web               0.25    1.5MiB     4          -          -\n"
        );
    }

    #[test]
    fn numbers_are_for_people() {
        for (bytes, want) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0KiB"),
            (1 << 30, "1.0GiB"),
            (u64::MAX, "16777215.9TiB"),
        ] {
            assert_eq!(size(bytes), want);
        }
        for (millis, want) in [(0, "0.00"), (9, "0.00"), (250, "0.25"), (12_340, "12.34")] {
            assert_eq!(processors(millis), want);
        }
    }
}
