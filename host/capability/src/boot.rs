//! Which process, on which life of the machine.
//!
//! A process number alone says nothing: numbers are used again. With the start time in clock ticks
//! it names one process of one boot, and with the machine's boot id one process for ever. Nothing
//! in this crate signals a number without that check just before.

use std::fs;
use std::io;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

/// The kernel's id of this boot; the same in every namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(String);

impl BootId {
    /// This boot's.
    ///
    /// # Errors
    /// Where `/proc` is not mounted.
    pub fn current() -> io::Result<Self> {
        Ok(Self(
            fs::read_to_string("/proc/sys/kernel/random/boot_id")?
                .trim()
                .to_owned(),
        ))
    }
}

/// One process, told apart from every other that ever had its number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: u32,
    /// Its start time in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
    /// The boot it belongs to.
    pub boot_id: BootId,
}

impl ProcessIdentity {
    /// The process that has this number now.
    ///
    /// # Errors
    /// Where there is none, or `/proc` is not mounted.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = ProcessStat::read(pid)?;
        Ok(Self {
            pid,
            start_ticks: stat.start_ticks,
            boot_id: BootId::current()?,
        })
    }

    /// This process.
    ///
    /// # Errors
    /// Where `/proc` is not mounted.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// Its number, if it still runs: as long as it does, nobody else can have the number.
    #[must_use]
    pub fn live_pid(&self) -> Option<Pid> {
        is_same_process(self)
            .then(|| i32::try_from(self.pid).ok().and_then(Pid::from_raw))
            .flatten()
    }
}

/// Whether this very process still runs. One that ended but was not collected yet does not.
#[must_use]
pub fn is_same_process(identity: &ProcessIdentity) -> bool {
    BootId::current().is_ok_and(|boot| boot == identity.boot_id)
        && ProcessStat::read(identity.pid)
            .is_ok_and(|stat| stat.start_ticks == identity.start_ticks && !stat.has_ended())
}

/// What `/proc/PID/stat` says, as far as it is needed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) pid: u32,
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) start_ticks: u64,
}

impl ProcessStat {
    pub(crate) fn read(pid: u32) -> io::Result<Self> {
        let text = fs::read(format!("/proc/{pid}/stat"))?;
        Self::parse(&String::from_utf8_lossy(&text)).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("/proc/{pid}/stat cannot be read"),
            )
        })
    }

    /// Fields are counted after the last `)`: a program may call itself `x) R 1 (`.
    fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(')')?;
        let pid = head.split_once('(')?.0.trim().parse().ok()?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        Some(Self {
            pid,
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it ended and only waits to be collected.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_cannot_shift_the_fields() {
        let text = "42 (a) R 1 (b)) S 7 42 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 2 3";
        let stat = ProcessStat::parse(text).unwrap();
        assert_eq!(
            stat,
            ProcessStat {
                pid: 42,
                state: 'S',
                parent: 7,
                start_ticks: 12_345
            }
        );
    }

    #[test]
    fn this_process_runs_and_one_of_another_start_or_boot_does_not() {
        let own = ProcessIdentity::own().unwrap();
        assert!(is_same_process(&own));
        assert!(!is_same_process(&ProcessIdentity {
            start_ticks: own.start_ticks + 1,
            ..own.clone()
        }));
        assert!(!is_same_process(&ProcessIdentity {
            boot_id: BootId("another".into()),
            ..own
        }));
    }
}
