//! The report: `benchmarks.json` with every value, `benchmarks.md` for people.
//!
//! A run of some benchmarks replaces those and leaves the others; what was measured on different
//! machines stands in different tables.

mod figure;
mod table;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::finding::Finding;

/// A finding and where it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// As [`crate::machine::facts`] tells it.
    pub(crate) machine: String,
    /// How often each contestant had its turn.
    pub(crate) rounds: usize,
    /// What was found.
    #[serde(flatten)]
    pub(crate) finding: Finding,
}

/// Merges `fresh` into what stands in `folder`, writes both files, and gives back the table of
/// `fresh` alone.
///
/// # Errors
/// When the folder cannot be written to, or holds a report that cannot be read.
pub(crate) fn write(folder: &Path, fresh: Vec<Record>) -> Result<String> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join("benchmarks.json");
    let old: Vec<Record> = match std::fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text)
            .map_err(|error| format!("{} is not a report of this tool: {error}", file.display()))?,
        Err(_) => Vec::new(),
    };
    let shown = table::tables(&fresh);
    let all = merge(old, fresh);
    let mut json = serde_json::to_string_pretty(&all)?;
    json.push('\n');
    std::fs::write(&file, json)?;
    std::fs::write(folder.join("benchmarks.md"), table::document(&all))?;
    Ok(shown)
}

/// The old ones without those that were measured again on the same machine, in order.
fn merge(mut old: Vec<Record>, fresh: Vec<Record>) -> Vec<Record> {
    let again = |record: &Record| {
        fresh
            .iter()
            .any(|new| new.finding.id == record.finding.id && new.machine == record.machine)
    };
    old.retain(|record| !again(record));
    old.extend(fresh);
    old.sort_by_key(|record| (record.machine.clone(), number(&record.finding.id)));
    old
}

/// `P11` comes after `P4`.
fn number(id: &str) -> u32 {
    id.trim_start_matches(char::is_alphabetic)
        .parse()
        .unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Unit;

    fn record(machine: &str, id: &str, work: &str) -> Record {
        Record {
            machine: machine.to_owned(),
            rounds: 7,
            finding: Finding {
                id: id.to_owned(),
                work: work.to_owned(),
                unit: Unit::Seconds,
                series: Vec::new(),
                missing: Vec::new(),
                goals: Vec::new(),
                notes: Vec::new(),
            },
        }
    }

    #[test]
    fn what_is_measured_again_is_replaced_and_the_rest_stays_in_order() {
        let old = vec![
            record("a", "P4", "start"),
            record("a", "P11", "old"),
            record("a", "P11", "old too"),
            record("b", "P11", "elsewhere"),
        ];
        let fresh = vec![record("a", "P11", "new"), record("a", "P2", "first time")];
        let merged: Vec<_> = merge(old, fresh)
            .into_iter()
            .map(|record| {
                format!(
                    "{} {} {}",
                    record.machine, record.finding.id, record.finding.work
                )
            })
            .collect();
        assert_eq!(
            merged,
            [
                "a P2 first time",
                "a P4 start",
                "a P11 new",
                "b P11 elsewhere"
            ]
        );
    }

    #[test]
    fn both_files_are_written_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), vec![record("a", "P4", "start")]).unwrap();
        let shown = write(folder.path(), vec![record("a", "P1", "call")]).unwrap();
        assert!(
            shown.contains("call") && !shown.contains("start"),
            "{shown}"
        );
        let page = std::fs::read_to_string(folder.path().join("benchmarks.md")).unwrap();
        assert!(page.contains("call") && page.contains("start"), "{page}");
    }
}
