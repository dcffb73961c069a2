//! A signal to a process of which a service told the pid.
//!
//! A pid is only a number, and the service may have told it a while ago: the process is held first
//! (pidfd), then looked at, then sent the signal, so that what is signalled is what was looked at.

use std::fs;

use fleet_model::Error;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, getpgid, kill_process_group, pidfd_open, pidfd_send_signal,
};
use serde_json::Value;

use super::policy::{SignalRule, SignalTo};
use crate::process::signals;

/// What a service says of a process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Pid(i64),
    /// It runs, but as which process the service does not know yet: Docker's engine says `Running`
    /// before it starts the program, and has the pid only some time after the program's first words.
    NotYet,
    Ended,
}

/// Reads the pid, where the rule says it is.
pub(crate) fn pid_in(value: &Value, rule: &SignalRule) -> Told {
    let is_running = || {
        let said = rule.running.as_ref().and_then(|place| place.get(value));
        said == Some(&Value::Bool(true))
    };
    match rule.pid.get(value).and_then(Value::as_i64) {
        Some(pid) if pid > 0 => Told::Pid(pid),
        _ if is_running() => Told::NotYet,
        _ => Told::Ended,
    }
}

/// The shortest text by which a cgroup is known.
const LEAST_TEXT: usize = 16;

/// Sends it, if one of the process's cgroups has a segment that holds this text. Blocks on the kernel.
///
/// # Errors
/// `not-found` (`no-process`), `denied` (`foreign-process`), `invalid` (`unknown-signal`).
pub(crate) fn send(pid: i64, holds: &str, signal: &str, to: SignalTo) -> Result<(), Error> {
    let signal = signals::by_name(signal)?;
    let pid = i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 1)
        .and_then(Pid::from_raw);
    let pid = pid.ok_or_else(gone)?;
    let held =
        pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed(error, signal_denied))?;
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero()));
    let groups = groups.map_err(|_| gone())?;
    if !is_in(&groups, holds) {
        return Err(Error::denied(
            "foreign-process",
            format!(
                "the process {} of which the service told is not in a cgroup of what is owned",
                pid.as_raw_nonzero()
            ),
        ));
    }
    if to == SignalTo::Group && getpgid(Some(pid)) == Ok(pid) {
        // Its number is its own as long as the pidfd finds it, and so is the group's.
        let is_there = !is_over(&held);
        return if is_there {
            kill_process_group(pid, signal).map_err(|error| failed(error, signal_denied))
        } else {
            Err(gone())
        };
    }
    pidfd_send_signal(&held, signal).map_err(|error| failed(error, signal_denied))
}

/// Whether a line of `/proc/PID/cgroup` has a segment of its path that holds the text.
fn is_in(groups: &str, holds: &str) -> bool {
    holds.len() >= LEAST_TEXT
        && !holds.contains('/')
        && groups.lines().any(|line| {
            let path = line.splitn(3, ':').nth(2).unwrap_or_default();
            path.split('/').any(|segment| segment.contains(holds))
        })
}

/// Whether the process has ended: then its pidfd can be read.
fn is_over(held: &impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut waiting = [PollFd::new(held, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut waiting, Some(&now)) != Ok(0)
}

fn failed(error: Errno, denied: impl FnOnce() -> Error) -> Error {
    match error {
        Errno::PERM | Errno::ACCESS => denied(),
        Errno::SRCH => gone(),
        error => Error::unavailable("no-signal", format!("the signal cannot be sent: {error}")),
    }
}

fn signal_denied() -> Error {
    Error::denied(
        "signal-permission",
        "the system does not let the host's user signal that process: run the host as the service's user",
    )
}

pub(crate) fn gone() -> Error {
    Error::not_found("no-process", "there is no such process: it has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123";

    #[test]
    fn a_cgroup_holds_the_id_in_a_segment_of_its_path() {
        for (groups, holds, want) in [
            (format!("12:pids:/docker/{ID}\n0::/\n"), ID, true),
            (format!("0::/system.slice/docker-{ID}.scope/x\n"), ID, true),
            ("0::/user.slice\n".to_owned(), ID, false),
            (format!("5:name={ID}:/x\n"), ID, false),
            ("0::/0123456789\n".to_owned(), "0123456789", false),
            (String::new(), "", false),
            (
                "0::/a/bcdefghijklmnopqrst".to_owned(),
                "a/bcdefghijklmnopqrst",
                false,
            ),
        ] {
            assert_eq!(is_in(&groups, holds), want, "{groups}");
        }
    }

    #[test]
    fn a_stranger_gets_no_signal() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = i64::from(child.id());
        let error = send(pid, ID, "KILL", SignalTo::Process).unwrap_err();
        assert_eq!(error.code, "foreign-process");
        assert!(child.try_wait().unwrap().is_none());
        for pid in [0, 1, -1, i64::MAX] {
            assert_eq!(
                send(pid, ID, "KILL", SignalTo::Group).unwrap_err().code,
                "no-process"
            );
        }
        assert_eq!(
            send(pid, ID, "NO", SignalTo::Process).unwrap_err().code,
            "unknown-signal"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(
            send(pid, ID, "KILL", SignalTo::Process).unwrap_err().code,
            "no-process"
        );
    }
}
