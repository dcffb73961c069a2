//! What the processes of a group use, as the kernel's files say it.
//!
//! | what      | cgroup v1                                          | cgroup v2                              |
//! |-----------|----------------------------------------------------|----------------------------------------|
//! | processor | `cpuacct.usage`                                    | `cpu.stat` `usage_usec`                |
//! | memory    | `memory.usage_in_bytes` - `total_inactive_file`    | `memory.current` - `inactive_file`     |
//! | processes | `pids.current`                                     | the same                               |
//! | disks     | `blkio.throttle.io_service_bytes`                  | `io.stat` `rbytes`, `wbytes`           |
//!
//! A file that is not there leaves its field empty: its controller is not used for the group.

use std::fs;
use std::path::PathBuf;

use fleet_model::stats::Usage;

use super::Placement;

impl Placement {
    /// What all in it use, as far as its groups tell.
    pub(crate) fn usage(&self) -> Usage {
        let groups = self.groups();
        let read = |file: &str| first(&groups, file);
        match self {
            Self::V1 { .. } => separate(read),
            Self::V2 { .. } => unified(read),
            Self::None => Usage::default(),
        }
    }
}

/// The file of the first group that has it.
fn first(groups: &[PathBuf], file: &str) -> Option<String> {
    groups
        .iter()
        .find_map(|group| fs::read_to_string(group.join(file)).ok())
}

fn separate(read: impl Fn(&str) -> Option<String>) -> Usage {
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    let disks = read("blkio.throttle.io_service_bytes");
    let disks = |way: &str| disks.as_deref().map(|text| service_bytes(text, way));
    Usage {
        cpu_us: number("cpuacct.usage").map(|nanoseconds| nanoseconds / 1_000),
        memory_bytes: number("memory.usage_in_bytes").map(|bytes| {
            let idle = read("memory.stat").and_then(|stat| value(&stat, "total_inactive_file"));
            bytes.saturating_sub(idle.unwrap_or_default())
        }),
        processes: number("pids.current").and_then(|count| count.try_into().ok()),
        read_bytes: disks("Read"),
        written_bytes: disks("Write"),
    }
}

fn unified(read: impl Fn(&str) -> Option<String>) -> Usage {
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    let disks = read("io.stat");
    let disks = |key: &str| disks.as_deref().map(|text| io_stat(text, key));
    Usage {
        cpu_us: read("cpu.stat").and_then(|stat| value(&stat, "usage_usec")),
        memory_bytes: number("memory.current").map(|bytes| {
            let idle = read("memory.stat").and_then(|stat| value(&stat, "inactive_file"));
            bytes.saturating_sub(idle.unwrap_or_default())
        }),
        processes: number("pids.current").and_then(|count| count.try_into().ok()),
        read_bytes: disks("rbytes"),
        written_bytes: disks("wbytes"),
    }
}

/// The number on the line of a name.
fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (found, number) = line.split_once(' ')?;
        (found == name).then(|| number.trim().parse().ok())?
    })
}

/// The sum over all disks of lines like `8:0 Read 4096`.
fn service_bytes(text: &str, way: &str) -> u64 {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let found = words.next()?;
            (found == way).then(|| words.next()?.parse::<u64>().ok())?
        })
        .sum()
}

/// The sum over all disks of one key of lines like `8:0 rbytes=4096 wbytes=0`.
fn io_stat(text: &str, key: &str) -> u64 {
    text.split_whitespace()
        .filter_map(|word| {
            let (found, number) = word.split_once('=')?;
            (found == key).then(|| number.parse::<u64>().ok())?
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn from(files: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        let files: BTreeMap<String, String> = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        move |file| files.get(file).cloned()
    }

    #[test]
    fn a_v1_group_tells_what_its_controllers_count() {
        let all = from(&[
            ("cpuacct.usage", "38040907649362\n"),
            ("memory.usage_in_bytes", "8192000\n"),
            (
                "memory.stat",
                "cache 1\ninactive_file 4096\ntotal_cache 5\ntotal_inactive_file 192000\n",
            ),
            ("pids.current", "12\n"),
            (
                "blkio.throttle.io_service_bytes",
                "8:0 Read 4096\n8:0 Write 100\n8:0 Sync 1\n8:0 Total 4196\n8:16 Read 4\n8:16 Write 5\nTotal 4205\n",
            ),
        ]);
        assert_eq!(
            separate(all),
            Usage {
                cpu_us: Some(38_040_907_649),
                memory_bytes: Some(8_000_000),
                processes: Some(12),
                read_bytes: Some(4100),
                written_bytes: Some(105),
            }
        );
        assert_eq!(separate(from(&[])), Usage::default());
        let idle = from(&[("blkio.throttle.io_service_bytes", "Total 0\n")]);
        assert_eq!(separate(idle).read_bytes, Some(0));
    }

    #[test]
    fn a_v2_group_tells_what_was_switched_on_for_it() {
        let all = from(&[
            (
                "cpu.stat",
                "usage_usec 123456\nuser_usec 100000\nsystem_usec 23456\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.stat", "anon 1\nfile 2\ninactive_file 96\n"),
            ("pids.current", "3\n"),
            (
                "io.stat",
                "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n",
            ),
        ]);
        assert_eq!(
            unified(all),
            Usage {
                cpu_us: Some(123_456),
                memory_bytes: Some(4_000),
                processes: Some(3),
                read_bytes: Some(11),
                written_bytes: Some(22),
            }
        );
        let bare = unified(from(&[("cpu.stat", "usage_usec 5\n")]));
        assert_eq!((bare.cpu_us, bare.memory_bytes), (Some(5), None));
    }

    #[test]
    fn each_file_is_found_in_the_group_of_its_controller() {
        let base = tempfile::tempdir().unwrap();
        let group = |name: &str| base.path().join(name);
        for name in ["freezer", "pids", "cpuacct"] {
            fs::create_dir(group(name)).unwrap();
        }
        fs::write(group("pids").join("pids.current"), "2\n").unwrap();
        fs::write(group("cpuacct").join("cpuacct.usage"), "7000\n").unwrap();
        let placement = Placement::V1 {
            freezer: group("freezer"),
            others: vec![group("pids"), group("gone"), group("cpuacct")],
            shims: group("shims"),
        };
        let usage = placement.usage();
        assert_eq!((usage.processes, usage.cpu_us), (Some(2), Some(7)));
        assert_eq!(usage.memory_bytes, None);
        assert_eq!(Placement::None.usage(), Usage::default());
    }
}
