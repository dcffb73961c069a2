//! What a process and all that belongs to it use: from its cgroups, and what these do not tell by
//! adding up what `/proc` says of each.
//!
//! Added up, counters may fall short of what was used: what a process used goes to its parent when
//! that collects it, and is lost where nobody does.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use fleet_model::Error;
use fleet_model::stats::Usage;
use rustix::param::{clock_ticks_per_second, page_size};

use super::evidence::Evidence;
use super::exec::slot::ExecSlot;
use super::owned::Own;
use super::tree;
use crate::cgroup::Placement;
use crate::fault;

/// What it uses.
///
/// # Errors
/// `not-found` when it does not run.
pub(crate) fn of(own: &Own) -> Result<Usage, Error> {
    let look = || {
        let evidence = own.slot.evidence()?;
        if evidence.exit.is_some() || !(evidence.shim_lives || evidence.program_lives) {
            return Ok(None);
        }
        let told = own.request.placement.usage();
        if is_whole(&told) {
            return Ok(Some(told));
        }
        added(own, &evidence).map(|added| Some(merged(told, added)))
    };
    let usage = look().map_err(|error| fault::storage("look at", own.slot.folder(), &error))?;
    usage.ok_or_else(|| {
        Error::not_found(
            "not-running",
            format!("{} does not run: it uses nothing", own.reference),
        )
    })
}

fn is_whole(usage: &Usage) -> bool {
    usage.cpu_us.is_some()
        && usage.memory_bytes.is_some()
        && usage.processes.is_some()
        && usage.read_bytes.is_some()
        && usage.written_bytes.is_some()
}

/// What the first tells, and for the rest the second.
fn merged(told: Usage, added: Usage) -> Usage {
    Usage {
        cpu_us: told.cpu_us.or(added.cpu_us),
        memory_bytes: told.memory_bytes.or(added.memory_bytes),
        processes: told.processes.or(added.processes),
        read_bytes: told.read_bytes.or(added.read_bytes),
        written_bytes: told.written_bytes.or(added.written_bytes),
    }
}

/// The sum over all of its processes, and over what their shims have collected.
fn added(own: &Own, evidence: &Evidence) -> io::Result<Usage> {
    let mut keepers = BTreeSet::new();
    let mut members = BTreeSet::new();
    let mut keep = |evidence: &Evidence| {
        if let Some(started) = evidence.started() {
            if evidence.shim_lives {
                keepers.insert(started.shim.pid);
            }
            if evidence.program_lives {
                members.insert(started.program.pid);
            }
        }
    };
    keep(evidence);
    for exec in ExecSlot::all(&own.slot)? {
        keep(&exec.slot.evidence()?);
    }
    if own.request.placement == Placement::None {
        for root in keepers.iter().chain(&members.clone()) {
            members.extend(tree::descendants(*root)?.iter().map(|stat| stat.pid));
        }
        if let Some(marker) = &own.request.marker {
            members.extend(tree::marked(marker)?.iter().map(|stat| stat.pid));
        }
    } else {
        let held = own.request.placement.processes()?;
        members.extend(
            held.iter()
                .map(|pid| pid.as_raw_nonzero().get().unsigned_abs()),
        );
    }
    let mut total = Total::default();
    for member in members {
        total.add(&Taken::read(member), Share::All);
    }
    for keeper in keepers {
        total.add(&Taken::read(keeper), Share::Collected);
    }
    Ok(total.usage(clock_ticks_per_second(), page_size() as u64))
}

/// What `/proc` says of one process.
#[derive(Debug, Default)]
struct Taken {
    stat: Option<String>,
    statm: Option<String>,
    io: Option<String>,
}

impl Taken {
    fn read(pid: u32) -> Self {
        // One that ends while it is looked at is not there.
        let read = |file: &str| {
            let text = fs::read(format!("/proc/{pid}/{file}")).ok()?;
            Some(String::from_utf8_lossy(&text).into_owned())
        };
        Self {
            stat: read("stat"),
            statm: read("statm"),
            io: read("io"),
        }
    }
}

/// What of a process counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    All,
    /// What it has from those it collected, not its own.
    Collected,
}

/// What was added up.
#[derive(Debug, Default)]
struct Total {
    ticks: u64,
    pages: u64,
    threads: u32,
    read_bytes: u64,
    written_bytes: u64,
}

impl Total {
    fn add(&mut self, taken: &Taken, share: Share) {
        let numbers = taken.stat.as_deref().map(numbers).unwrap_or_default();
        // Counted from the state, which is field 3 of proc(5): utime, stime, cutime, cstime.
        let field = |number: usize| numbers.get(number - 3).copied().unwrap_or_default();
        self.ticks += field(16) + field(17);
        if share == Share::Collected {
            return;
        }
        self.ticks += field(14) + field(15);
        self.threads += u32::try_from(field(20)).unwrap_or_default();
        let statm = taken.statm.as_deref().unwrap_or_default();
        let mut statm = statm.split_whitespace().skip(1).map(str::parse::<u64>);
        if let (Some(Ok(resident)), Some(Ok(shared))) = (statm.next(), statm.next()) {
            // What is shared is of files, and can be read again.
            self.pages += resident.saturating_sub(shared);
        }
        let io = taken.io.as_deref().unwrap_or_default();
        self.read_bytes += counter(io, "read_bytes: ");
        self.written_bytes += counter(io, "write_bytes: ");
    }

    fn usage(&self, ticks_per_second: u64, page_bytes: u64) -> Usage {
        Usage {
            cpu_us: Some(self.ticks * 1_000_000 / ticks_per_second.max(1)),
            memory_bytes: Some(self.pages * page_bytes),
            processes: Some(self.threads),
            read_bytes: Some(self.read_bytes),
            written_bytes: Some(self.written_bytes),
        }
    }
}

/// The fields after a program's name, which may hold anything; what is no number counts as none.
fn numbers(stat: &str) -> Vec<u64> {
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    fields
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect()
}

fn counter(io: &str, name: &str) -> u64 {
    io.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> Taken {
        Taken {
            stat: Some("42 (a) R 1 (b)) S 7 42 9 0 -1 4194560 1 0 0 0 100 20 3 4 20 0 5 0 12345 1".into()),
            statm: Some("765 442 414 5 0 123 0\n".into()),
            io: Some("rchar: 9\nwchar: 8\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1\n".into()),
        }
    }

    #[test]
    fn members_count_whole_and_keepers_with_what_they_collected() {
        let mut total = Total::default();
        total.add(&taken(), Share::All);
        total.add(&taken(), Share::All);
        total.add(&taken(), Share::Collected);
        total.add(&Taken::default(), Share::All);
        assert_eq!(
            total.usage(100, 4096),
            Usage {
                cpu_us: Some((2 * 127 + 7) * 10_000),
                memory_bytes: Some(2 * 28 * 4096),
                processes: Some(10),
                read_bytes: Some(8192),
                written_bytes: Some(16384),
            }
        );
    }

    #[test]
    fn what_a_cgroup_tells_goes_before_what_was_added_up() {
        let told = Usage {
            cpu_us: Some(1),
            ..Usage::default()
        };
        let added = Usage {
            cpu_us: Some(2),
            processes: Some(3),
            ..Usage::default()
        };
        let merged = merged(told, added);
        assert_eq!((merged.cpu_us, merged.processes), (Some(1), Some(3)));
        assert!(!is_whole(&merged));
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let mut total = Total::default();
        total.add(&Taken::read(std::process::id()), Share::All);
        assert!(total.pages > 0 && total.threads > 0);
    }
}
