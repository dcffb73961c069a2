//! Making, entering, ending and removing groups.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Placement;
use super::plan::HOSTS;

/// How long to wait for all tasks of a v1 group to stand still. One that is in the middle of a
/// system call takes a moment; one that never does is signalled all the same.
const FREEZE: Duration = Duration::from_millis(500);

/// How long to try to remove a group: the kernel lets go of it a moment after its last process.
const REMOVE: Duration = Duration::from_millis(500);

const STEP: Duration = Duration::from_millis(5);

impl Placement {
    /// Moves the calling process, a shim, out of the host's group.
    pub(crate) fn enter_shims(&self) -> io::Result<()> {
        self.shims().map_or(Ok(()), |shims| enter(shims))
    }

    /// Ends all processes that are in it now. With v2 none can escape; with v1 none can fork
    /// meanwhile. Fine when there is no group.
    pub(crate) fn kill(&self) -> io::Result<()> {
        match self {
            Self::V2 { group, .. } => kill_v2(group),
            Self::V1 { freezer, .. } => kill_v1(freezer),
            Self::None => Ok(()),
        }
    }

    /// The processes in it, those that ended but were not collected left out by the kernel.
    pub(crate) fn processes(&self) -> io::Result<Vec<Pid>> {
        match self {
            Self::V2 { group, .. } => processes(group),
            Self::V1 { freezer, .. } => processes(freezer),
            Self::None => Ok(Vec::new()),
        }
    }

    /// Removes its groups, which must be empty. Fine when they are gone.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut answer = Ok(());
        for group in self.groups() {
            let removed = remove(&group);
            if answer.is_ok() {
                answer = removed;
            }
        }
        answer
    }

    /// Removes the folders this host's groups lie in, `fleet-host/TAG/shims` and up, if nothing
    /// else is in them.
    pub(crate) fn remove_parents(&self) {
        if let Some(shims) = self.shims() {
            let mut waited = Duration::ZERO;
            // Another shim in it keeps it; one that just ended keeps it for a moment.
            while waited < REMOVE
                && processes(shims).is_ok_and(|shims| shims.is_empty())
                && fs::remove_dir(shims)
                    .is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
            {
                pause();
                waited += STEP;
            }
        }
        for group in self.groups() {
            let (tag, top) = (group.parent(), group.ancestors().nth(2));
            if top
                .and_then(Path::file_name)
                .is_some_and(|name| name == HOSTS)
            {
                for folder in tag.into_iter().chain(top) {
                    // A folder that something is in refuses, which is as it should be.
                    let _ = fs::remove_dir(folder);
                }
            }
        }
    }
}

/// Moves the calling process into a group, which is made if it is not there.
pub(crate) fn enter(group: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        let moved =
            fs::create_dir_all(group).and_then(|()| fs::write(group.join("cgroup.procs"), "0"));
        match moved {
            // Somebody else just removed an empty folder on the way.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 20 => tries += 1,
            other => return other,
        }
    }
}

fn kill_v2(group: &Path) -> io::Result<()> {
    match fs::write(group.join("cgroup.kill"), "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound && group.exists() => {
            // Before Linux 5.14.
            fs::write(group.join("cgroup.freeze"), "1")?;
            let signalled = signal_all(group);
            fs::write(group.join("cgroup.freeze"), "0")?;
            signalled
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn kill_v1(group: &Path) -> io::Result<()> {
    let state = group.join("freezer.state");
    if let Err(error) = fs::write(&state, "FROZEN") {
        return if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        };
    }
    let mut waited = Duration::ZERO;
    while waited < FREEZE && fs::read_to_string(&state).is_ok_and(|text| text.trim() != "FROZEN") {
        pause();
        waited += STEP;
    }
    let signalled = signal_all(group);
    // Whatever went wrong before: a group left frozen would never end.
    fs::write(&state, "THAWED")?;
    signalled
}

/// Gives the kernel a moment; it reports nothing to wait for here.
#[expect(
    clippy::disallowed_methods,
    reason = "on a blocking thread or in the shim, for milliseconds, with a bound"
)]
fn pause() {
    std::thread::sleep(STEP);
}

fn signal_all(group: &Path) -> io::Result<()> {
    for pid in processes(group)? {
        // It may have ended meanwhile, which is what was wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
    Ok(())
}

/// A group and those a program made below it, the lowest first.
fn tree(group: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![group.to_path_buf()];
    let mut next = 0;
    while let Some(folder) = found.get(next).cloned() {
        next += 1;
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries.filter_map(Result::ok) {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.push(entry.path());
            }
        }
    }
    found.reverse();
    Ok(found)
}

fn processes(group: &Path) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for folder in tree(group)? {
        match fs::read_to_string(folder.join("cgroup.procs")) {
            Ok(text) => found.extend(
                text.lines()
                    .filter_map(|line| Pid::from_raw(line.parse().ok()?)),
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn remove(group: &Path) -> io::Result<()> {
    let mut waited = Duration::ZERO;
    for folder in tree(group)? {
        loop {
            match fs::remove_dir(&folder) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && waited < REMOVE => {
                    pause();
                    waited += STEP;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plain files under the names the kernel gives them in a v2 group.
    fn unified() -> (tempfile::TempDir, Placement) {
        let base = tempfile::tempdir().unwrap();
        let tag = base.path().join("fleet-host/tag");
        let group = tag.join("group");
        fs::create_dir_all(group.join("made-by-the-program")).unwrap();
        fs::write(group.join("cgroup.procs"), "999999998\n").unwrap();
        fs::write(
            group.join("made-by-the-program/cgroup.procs"),
            "999999999\n",
        )
        .unwrap();
        let placement = Placement::V2 {
            group,
            shims: tag.join("shims"),
        };
        (base, placement)
    }

    #[test]
    fn a_v2_group_is_entered_and_ended_through_its_own_files() {
        let (base, placement) = unified();
        placement.enter_shims().unwrap();
        assert_eq!(
            fs::read_to_string(base.path().join("fleet-host/tag/shims/cgroup.procs")).unwrap(),
            "0"
        );
        placement.kill().unwrap();
        assert_eq!(
            fs::read_to_string(base.path().join("fleet-host/tag/group/cgroup.kill")).unwrap(),
            "1"
        );
    }

    #[test]
    fn groups_a_program_made_count_and_a_group_that_is_gone_is_empty() {
        let (base, placement) = unified();
        let pids: Vec<i32> = placement
            .processes()
            .unwrap()
            .into_iter()
            .map(Pid::as_raw_pid)
            .collect();
        assert_eq!(pids, [999_999_999, 999_999_998]);
        fs::remove_dir_all(base.path().join("fleet-host/tag/group")).unwrap();
        assert_eq!(placement.processes().unwrap(), []);
        placement.kill().unwrap();
        placement.remove().unwrap();
        placement.remove_parents();
        assert!(base.path().exists() && !base.path().join("fleet-host").exists());
    }
}
