//! What a container uses, as the engine counts.

use fleet_sdk::stats::Sample;
use fleet_sdk::{Error, ErrorKind};
use serde::Deserialize;

use crate::answer::Answer;
use crate::refusal::{self, Doing};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stats {
    cpu_stats: Cpu,
    memory_stats: Memory,
    pids_stats: Pids,
    blkio_stats: Disk,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cpu {
    cpu_usage: CpuUsage,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CpuUsage {
    /// Nanoseconds.
    total_usage: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Memory {
    usage: Option<u64>,
    stats: MemoryParts,
}

/// What can be dropped at once: under the name of cgroup v1 or of v2.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MemoryParts {
    total_inactive_file: Option<u64>,
    inactive_file: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pids {
    current: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Disk {
    /// One entry for each device and direction; `null` where nothing is counted.
    io_service_bytes_recursive: Option<Vec<Moved>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Moved {
    op: String,
    value: u64,
}

/// One look, from the engine's answer.
///
/// # Errors
/// `not-found` (`not-running`) when it does not run: then engines answer with zeros.
pub(crate) fn sample(answer: &Answer) -> Result<Sample, Error> {
    if !answer.is_done() {
        return Err(refusal::error(Doing::Other, answer));
    }
    let stats: Stats = answer.read()?;
    let cpu_ns = stats.cpu_stats.cpu_usage.total_usage;
    if cpu_ns == 0 && stats.memory_stats.usage.is_none() && stats.pids_stats.current.is_none() {
        return Err(Error::new(
            ErrorKind::NotFound,
            "not-running",
            "it does not run, so it uses nothing: start it first",
        ));
    }
    let parts = stats.memory_stats.stats;
    let idle = parts.total_inactive_file.or(parts.inactive_file);
    let used = |usage: u64| usage.saturating_sub(idle.unwrap_or(0));
    let moved = stats.blkio_stats.io_service_bytes_recursive;
    let sum = |direction: &str| {
        let list = moved.as_deref().unwrap_or_default().iter();
        let of = |moved: &&Moved| moved.op.eq_ignore_ascii_case(direction);
        // A device that was never used is not in the list, so an empty list is nothing moved.
        moved.is_some().then(|| {
            list.filter(of)
                .map(|moved| moved.value)
                .fold(0, u64::saturating_add)
        })
    };
    Ok(Sample {
        cpu_us: Some(cpu_ns / 1_000),
        memory_bytes: stats.memory_stats.usage.map(used),
        processes: stats
            .pids_stats
            .current
            .and_then(|count| u32::try_from(count).ok()),
        read_bytes: sum("read"),
        written_bytes: sum("write"),
        attributes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn look(body: &Value) -> Result<Sample, Error> {
        sample(&Answer::new(200, body.to_string().as_bytes()))
    }

    #[test]
    fn what_runs_is_measured_under_both_kinds_of_cgroup() {
        for parts in [
            json!({"total_inactive_file": 1000, "inactive_file": 7}),
            json!({"inactive_file": 1000}),
        ] {
            let sample = look(&json!({
                "cpu_stats": {"cpu_usage": {"total_usage": 115_570_477}},
                "memory_stats": {"usage": 5000, "stats": parts},
                "pids_stats": {"current": 3},
                "blkio_stats": {"io_service_bytes_recursive": [
                    {"major": 8, "minor": 0, "op": "Read", "value": 5},
                    {"major": 8, "minor": 0, "op": "write", "value": 6},
                    {"major": 8, "minor": 16, "op": "read", "value": 7},
                    {"major": 8, "minor": 16, "op": "Total", "value": 99},
                ]},
            }))
            .unwrap();
            assert_eq!(sample.cpu_us, Some(115_570));
            assert_eq!(sample.memory_bytes, Some(4000));
            assert_eq!(sample.processes, Some(3));
            assert_eq!(
                (sample.read_bytes, sample.written_bytes),
                (Some(12), Some(6))
            );
        }
    }

    #[test]
    fn what_cannot_be_told_is_absent() {
        let sample = look(&json!({
            "cpu_stats": {"cpu_usage": {"total_usage": 1000}},
            "blkio_stats": {"io_service_bytes_recursive": null},
        }))
        .unwrap();
        assert_eq!((sample.memory_bytes, sample.read_bytes), (None, None));
        let quiet = json!({
            "cpu_stats": {"cpu_usage": {"total_usage": 1000}},
            "blkio_stats": {"io_service_bytes_recursive": []},
        });
        assert_eq!(look(&quiet).unwrap().read_bytes, Some(0));
    }

    #[test]
    fn what_does_not_run_uses_nothing() {
        // As Docker 20.10 answers for a container that has ended.
        let ended = json!({
            "read": "0001-01-01T00:00:00Z", "pids_stats": {}, "memory_stats": {}, "id": "c0",
            "blkio_stats": {"io_service_bytes_recursive": null},
            "cpu_stats": {"cpu_usage": {"total_usage": 0}},
        });
        assert_eq!(look(&ended).unwrap_err().code, "not-running");
        let gone = Answer::new(404, br#"{"message":"No such container: c0"}"#);
        assert!(sample(&gone).unwrap_err().is_not_found());
        let busy = Answer::new(500, b"");
        assert_eq!(sample(&busy).unwrap_err().kind, ErrorKind::Unavailable);
    }
}
