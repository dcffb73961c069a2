//! What is on the machine of a workload, found without asking the backend: its processes, by the id
//! that stands in their environment or command line, and what was to end them.

use std::fs;
use std::path::Path;

use fleet_model::driver::KillTarget;
use rustix::process::{Pid, Signal, kill_process};

/// The variable that names the workload in a program's environment, as a node sets it.
pub(crate) const WORKLOAD: &str = "FLEET_WORKLOAD_ID";
/// The variable that names the program beside a workload.
pub(crate) const EXEC: &str = "FLEET_CONFORMANCE_EXEC";

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    /// Its command line, cut.
    pub(crate) command: String,
    environ: Vec<u8>,
}

impl Running {
    /// Whether a variable has this value in its environment.
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        let wanted = format!("{name}={value}");
        self.environ
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes())
    }

    /// Whether it is a program beside a workload.
    pub(crate) fn is_exec(&self) -> bool {
        let prefix = format!("{EXEC}=");
        self.environ
            .split(|byte| *byte == 0)
            .any(|variable| variable.starts_with(prefix.as_bytes()))
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // One that has ended meanwhile is what was wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// All processes that name this workload.
pub(crate) fn processes(workload: &str) -> Vec<Running> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own && !has_ended(*pid))
        .filter_map(|pid| {
            let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let (environ, line) = (read("environ"), read("cmdline"));
            let names = |bytes: &[u8]| {
                let needle = workload.as_bytes();
                bytes.windows(needle.len()).any(|window| window == needle)
            };
            (names(&environ) || names(&line)).then(|| Running {
                pid,
                command: shown(&line),
                environ,
            })
        })
        .collect()
}

/// Whether what was to end a runtime still holds something of it.
pub(crate) fn is_there(target: &KillTarget) -> bool {
    match target {
        KillTarget::Cgroup { path } => Path::new(path).exists(),
        KillTarget::Process { pid, start_ticks } => start_of(*pid) == Some(*start_ticks),
        KillTarget::Other { .. } => false,
    }
}

fn has_ended(pid: u32) -> bool {
    after_name(pid).is_none_or(|rest| rest.starts_with(['Z', 'X']))
}

/// Field 22 of `/proc/PID/stat`, which is the 20th after the name.
fn start_of(pid: u32) -> Option<u64> {
    after_name(pid)?.split_whitespace().nth(19)?.parse().ok()
}

/// What follows the name in `/proc/PID/stat`: the state and on.
fn after_name(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.trim_start().to_owned())
}

fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line).replace('\0', " ");
    text.trim_end().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_what_names_its_workload_and_not_by_another() {
        let id = format!("wl_test_{}", std::process::id());
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .env(WORKLOAD, &id)
            .env(EXEC, "x")
            .spawn()
            .unwrap();
        // A program that was just executed has no environment for a moment.
        let found = std::iter::repeat_with(|| processes(&id))
            .take(10_000)
            .find(|found| !found.is_empty())
            .unwrap_or_default();
        let other = processes("wl_nobody_has_this");
        for running in &found {
            running.kill();
        }
        child.wait().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].has(WORKLOAD, &id) && found[0].is_exec());
        assert!(!found[0].has(WORKLOAD, "wl"));
        assert_eq!(other, []);
        assert_eq!(processes(&id), []);
    }

    #[test]
    fn what_ends_a_runtime_is_there_or_not() {
        let pid = std::process::id();
        let start_ticks = start_of(pid).unwrap();
        let process = |start_ticks| KillTarget::Process { pid, start_ticks };
        assert!(is_there(&process(start_ticks)));
        assert!(!is_there(&process(start_ticks + 1)));
        let cgroup = |path: &str| KillTarget::Cgroup { path: path.into() };
        assert!(is_there(&cgroup("/proc")));
        assert!(!is_there(&cgroup("/proc/no/such/group")));
    }
}
