//! A signal to a process of which a service told the pid.
//!
//! A pid is only a number, and the service may have told it a while ago: the process is held first
//! (pidfd), then the service is asked once more, then the process is looked at and sent the signal, so that
//! what is signalled is what the service means and what was looked at.

use std::fs;
use std::os::fd::OwnedFd;

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

/// Reads the pid, where the rule says it is. A service may keep the pid of what has ended; by then it can
/// be another's.
pub(crate) fn pid_in(value: &Value, rule: &SignalRule) -> Told {
    let said = rule.running.as_ref().and_then(|place| place.get(value));
    let is_running = said.and_then(Value::as_bool);
    if is_running == Some(false) {
        return Told::Ended;
    }
    match rule.pid.get(value).and_then(Value::as_i64) {
        Some(pid) if pid > 0 => Told::Pid(pid),
        _ if is_running == Some(true) => Told::NotYet,
        _ => Told::Ended,
    }
}

/// The shortest text by which a cgroup is known.
const LEAST_TEXT: usize = 16;

/// A process that stays what it is, whoever gets its number when it is over.
#[derive(Debug)]
pub(crate) struct Held {
    pid: Pid,
    process: OwnedFd,
}

/// Takes hold of a process.
///
/// # Errors
/// `not-found` (`no-process`).
pub(crate) fn hold(pid: i64) -> Result<Held, Error> {
    let pid = i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 1)
        .and_then(Pid::from_raw)
        .ok_or_else(gone)?;
    let process =
        pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed(error, signal_denied))?;
    Ok(Held { pid, process })
}

impl Held {
    /// Whether it is the process of this pid.
    pub(crate) fn is(&self, pid: i64) -> bool {
        i64::from(self.pid.as_raw_nonzero().get()) == pid
    }

    /// Sends the signal, if one of the process's cgroups has a segment that holds this text. Blocks on the
    /// kernel.
    ///
    /// # Errors
    /// `not-found` (`no-process`), `denied` (`foreign-process`), `invalid` (`unknown-signal`).
    pub(crate) fn send(&self, holds: &str, signal: &str, to: SignalTo) -> Result<(), Error> {
        let signal = signals::by_name(signal)?;
        let Self { pid, process } = self;
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
        if to == SignalTo::Group && getpgid(Some(*pid)) == Ok(*pid) {
            // Its number is its own as long as the pidfd finds it, and so is the group's.
            let is_there = !is_over(process);
            return if is_there {
                kill_process_group(*pid, signal).map_err(|error| failed(error, signal_denied))
            } else {
                Err(gone())
            };
        }
        pidfd_send_signal(process, signal).map_err(|error| failed(error, signal_denied))
    }
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
    use serde_json::json;

    use super::*;
    use crate::endpoint::pointer::Pointer;
    use crate::endpoint::template::Template;

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
    fn what_the_service_says_has_ended_has_no_pid() {
        let rule = |running: Option<&str>| SignalRule {
            rule: "look".to_owned(),
            pid: Pointer::parse("/pid").unwrap(),
            running: running.map(|running| Pointer::parse(running).unwrap()),
            holds: Template::parse("{parent}").unwrap(),
            signal: "signal".to_owned(),
            to: SignalTo::Process,
        };
        let (asks, trusts) = (rule(Some("/running")), rule(None));
        for (rule, value, want) in [
            (&asks, json!({"running": true, "pid": 7}), Told::Pid(7)),
            (&asks, json!({"running": true, "pid": 0}), Told::NotYet),
            (&asks, json!({"running": true}), Told::NotYet),
            (&asks, json!({"running": false, "pid": 7}), Told::Ended),
            (&asks, json!({"running": false, "pid": 0}), Told::Ended),
            (&asks, json!({"pid": 7}), Told::Pid(7)),
            (&asks, json!({"running": "no", "pid": 0}), Told::Ended),
            (&trusts, json!({"running": false, "pid": 7}), Told::Pid(7)),
            (&trusts, json!({"running": true, "pid": 0}), Told::Ended),
            (&trusts, json!({"pid": -1}), Told::Ended),
        ] {
            assert_eq!(pid_in(&value, rule), want, "{value}");
        }
    }

    #[test]
    fn a_stranger_gets_no_signal() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = i64::from(child.id());
        let held = hold(pid).unwrap();
        assert!(held.is(pid) && !held.is(pid + 1));
        let send = |signal| held.send(ID, signal, SignalTo::Process).unwrap_err().code;
        assert_eq!(send("KILL"), "foreign-process");
        assert!(child.try_wait().unwrap().is_none());
        assert_eq!(send("NO"), "unknown-signal");
        for pid in [0, 1, -1, i64::MAX] {
            assert_eq!(hold(pid).unwrap_err().code, "no-process");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(send("KILL"), "no-process");
        assert_eq!(hold(pid).unwrap_err().code, "no-process");
    }
}
