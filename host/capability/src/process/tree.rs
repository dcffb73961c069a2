//! Who descends from whom, and who carries the mark of a program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use rustix::process::{Pid, Signal, kill_process};

use super::marker::Marker;
use crate::boot::ProcessStat;

/// All processes that run now and descend from `ancestor`, which is not among them.
pub(crate) fn descendants(ancestor: u32) -> io::Result<Vec<ProcessStat>> {
    Ok(below(ancestor, &processes()?))
}

/// All processes that run now and were executed with this mark, as far as this user may know.
pub(crate) fn marked(marker: &Marker) -> io::Result<Vec<ProcessStat>> {
    let own = std::process::id();
    Ok(processes()?
        .into_iter()
        .filter(|stat| stat.pid != own && !stat.has_ended() && marker.is_on(stat.pid))
        .collect())
}

/// Ends these processes, each only if it still is the one that was seen.
pub(crate) fn kill_all(processes: &[ProcessStat]) {
    for seen in processes {
        let same = ProcessStat::read(seen.pid).is_ok_and(|now| now.start_ticks == seen.start_ticks);
        if let Some(pid) = i32::try_from(seen.pid)
            .ok()
            .and_then(Pid::from_raw)
            .filter(|_| same)
        {
            // It may have ended meanwhile, which is what was wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn processes() -> io::Result<Vec<ProcessStat>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let pid = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // One that ends while it is looked at is not there.
        found.extend(pid.and_then(|pid| ProcessStat::read(pid).ok()));
    }
    Ok(found)
}

fn below(ancestor: u32, processes: &[ProcessStat]) -> Vec<ProcessStat> {
    let mut children: BTreeMap<u32, Vec<&ProcessStat>> = BTreeMap::new();
    for stat in processes {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut seen = BTreeSet::from([ancestor]);
    let mut waiting = vec![ancestor];
    let mut found = Vec::new();
    while let Some(pid) = waiting.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if seen.insert(child.pid) {
                waiting.push(child.pid);
                if !child.has_ended() {
                    found.push(**child);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_through_the_dead_and_strangers_are_not() {
        let stat = |pid, parent, state| ProcessStat {
            pid,
            parent,
            state,
            start_ticks: 0,
        };
        let all = [
            stat(2, 1, 'S'),
            stat(3, 2, 'Z'),
            stat(4, 3, 'R'),
            stat(5, 1, 'S'),
            stat(1, 1, 'S'),
        ];
        let found: Vec<u32> = below(2, &all).iter().map(|stat| stat.pid).collect();
        assert_eq!(found, [4]);
    }
}
