//! Making, entering, ending and removing groups.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, kill_process};

use super::Placement;
use super::limit::{Setting, Unless};
use super::plan::HOSTS;
use super::seat::LEAF;

/// How long to wait for all tasks of a v1 group to stand still. One that is in the middle of a
/// system call takes a moment; one that never does is signalled all the same.
const FREEZE: Duration = Duration::from_millis(500);

/// How long to try to remove a group: the kernel lets go of it a moment after its last process.
const REMOVE: Duration = Duration::from_millis(500);

/// How often to make a folder again that somebody else removes meanwhile, because it was empty.
const TRIES: u32 = 20;

const STEP: Duration = Duration::from_millis(5);

impl Placement {
    /// Moves the calling process, a shim, out of the host's group.
    pub(crate) fn enter_shims(&self) -> io::Result<()> {
        self.shims().map_or(Ok(()), |shims| enter(shims))
    }

    /// Moves the calling shim, if it is the last, back to the group its host was in, so that the
    /// folders of a host without processes can go. As well as it can be done.
    pub(crate) fn leave_shims(&self) {
        let Some(shims) = self.shims() else { return };
        let (top, home) = (shims.ancestors().nth(2), shims.ancestors().nth(3));
        let is_last = processes(shims).is_ok_and(|all| all == [getpid()]);
        if let (true, Some(top), Some(home)) = (is_last, top, home)
            && top.file_name().is_some_and(|name| name == HOSTS)
            && enter(home).is_ok()
        {
            self.remove_parents();
        }
    }

    /// Whether the kernel killed something in it for want of memory.
    pub(crate) fn saw_oom_kill(&self) -> bool {
        self.groups()
            .iter()
            .flat_map(|group| tree(group).unwrap_or_default())
            .any(|folder| {
                ["memory.events", "memory.oom_control"]
                    .iter()
                    .filter_map(|file| fs::read_to_string(folder.join(file)).ok())
                    .any(|text| counts(&text, "oom_kill "))
            })
    }

    /// Whether the kernel refused something in it a process more than its limit.
    pub(crate) fn saw_refused_fork(&self) -> bool {
        let is_limited = |group: &PathBuf| {
            fs::read_to_string(group.join("pids.max")).is_ok_and(|most| most.trim() != "max")
        };
        self.groups()
            .iter()
            .filter(|group| is_limited(group))
            .flat_map(|group| tree(group).unwrap_or_default())
            .filter_map(|folder| fs::read_to_string(folder.join("pids.events")).ok())
            .any(|text| counts(&text, "max "))
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
                let leaf = tag.map(|tag| tag.join(LEAF));
                for folder in leaf.as_deref().into_iter().chain(tag).chain(top) {
                    // A folder that something is in refuses, which is as it should be.
                    let _ = fs::remove_dir(folder);
                }
            }
        }
    }
}

/// Moves the calling process into a group, which is made if it is not there.
pub(crate) fn enter(group: &Path) -> io::Result<()> {
    while_there(group, || {
        make(group)?;
        put(&group.join("cgroup.procs"), "0")
    })
}

/// Makes a group, also while somebody else removes the empty folders it lies in.
pub(crate) fn make(group: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match fs::create_dir_all(group) {
            Err(error) if is_gone(&error) && tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

/// Does something with a group that somebody else may remove meanwhile: then it is done again.
pub(crate) fn while_there<T>(group: &Path, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let mut tries = 0;
    loop {
        let done = work();
        // It may have gone in the middle of the work and be there again, made by a third one.
        let went = done.as_ref().is_err_and(is_gone);
        if tries == TRIES || (group.exists() && !went) {
            return done;
        }
        tries += 1;
    }
}

/// Makes the groups of these settings and writes them, in order.
pub(crate) fn apply(settings: &[Setting]) -> io::Result<()> {
    // Groups first: the folders above stay as long as something is in them.
    for folder in settings.iter().filter_map(|setting| setting.file.parent()) {
        make(folder)?;
    }
    for setting in settings {
        match put(&setting.file, &setting.text) {
            Err(error) if setting.unless == Unless::Missing && is_gone(&error) => {}
            Err(error)
                if setting.unless == Unless::Tighter
                    && error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
            Err(error) => {
                let (text, file) = (&setting.text, setting.file.display());
                return Err(io::Error::new(
                    error.kind(),
                    format!("`{text}` was not taken by {file}: {error}"),
                ));
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Whether a file that counts events, as `memory.events` does, has counted this one.
fn counts(text: &str, event: &str) -> bool {
    text.lines()
        .filter_map(|line| line.strip_prefix(event))
        .any(|count| count.trim() != "0")
}

pub(super) fn kill_v2(group: &Path) -> io::Result<()> {
    match put(&group.join("cgroup.kill"), "1") {
        Err(error) if is_gone(&error) && group.exists() => {
            // Before Linux 5.14.
            stand_still(&group.join("cgroup.freeze"), "1", "0", || signal_all(group))
        }
        other => unless_gone(other),
    }
}

pub(super) fn kill_v1(group: &Path) -> io::Result<()> {
    let state = group.join("freezer.state");
    stand_still(&state, "FROZEN", "THAWED", || {
        let mut waited = Duration::ZERO;
        while waited < FREEZE
            && fs::read_to_string(&state).is_ok_and(|text| text.trim() != "FROZEN")
        {
            pause();
            waited += STEP;
        }
        signal_all(group)
    })
}

/// Does something while the processes of a group stand still. Whatever goes wrong meanwhile, they
/// are let go: a group left frozen would never end. Fine when the group is gone or goes.
fn stand_still(
    switch: &Path,
    on: &str,
    off: &str,
    work: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    unless_gone(put(switch, on))?;
    let worked = work();
    unless_gone(put(switch, off))?;
    worked
}

/// Writes to a file of the kernel's; one that is not there is not made.
pub(super) fn put(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(text.as_bytes())
}

/// Whether a group was removed: before its file was opened, or while it was open.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}

fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })
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
            Err(error) if is_gone(&error) => continue,
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
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

pub(super) fn remove(group: &Path) -> io::Result<()> {
    let mut waited = Duration::ZERO;
    for folder in tree(group)? {
        loop {
            match fs::remove_dir(&folder) {
                Ok(()) => break,
                Err(error) if is_gone(&error) => break,
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
        fs::create_dir(tag.join("shims")).unwrap();
        fs::write(tag.join("shims/cgroup.procs"), "").unwrap();
        fs::write(group.join("cgroup.kill"), "").unwrap();
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
    fn what_was_removed_and_made_again_meanwhile_is_tried_again() {
        let group = tempfile::tempdir().unwrap();
        let tries = std::cell::Cell::new(0);
        let work = || {
            tries.set(tries.get() + 1);
            match tries.get() {
                1 => Err(Errno::NODEV.into()),
                _ => Ok(()),
            }
        };
        while_there(group.path(), work).unwrap();
        assert_eq!(tries.get(), 2);
        let refused = || Err::<(), _>(Errno::PERM.into());
        while_there(group.path(), refused).unwrap_err();
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
    fn a_v2_group_without_the_switch_is_frozen_and_let_go() {
        let (base, placement) = unified();
        let group = base.path().join("fleet-host/tag/group");
        fs::remove_file(group.join("cgroup.kill")).unwrap();
        fs::write(group.join("cgroup.freeze"), "").unwrap();
        placement.kill().unwrap();
        assert_eq!(
            fs::read_to_string(group.join("cgroup.freeze")).unwrap(),
            "0"
        );
    }

    #[test]
    fn settings_are_written_and_what_need_not_be_there_need_not() {
        let (base, placement) = unified();
        let group = base.path().join("fleet-host/tag/group");
        fs::write(group.join("memory.max"), "").unwrap();
        let setting = |file: &str, unless| Setting {
            file: group.join(file),
            text: "5".to_owned(),
            unless,
        };
        apply(&[
            setting("memory.max", Unless::Never),
            setting("memory.swap.max", Unless::Missing),
        ])
        .unwrap();
        assert_eq!(fs::read_to_string(group.join("memory.max")).unwrap(), "5");
        assert!(!group.join("memory.swap.max").exists());
        let error = apply(&[setting("pids.max", Unless::Never)]).unwrap_err();
        assert!(error.to_string().contains("pids.max"), "{error}");

        assert!(!placement.saw_oom_kill());
        for (file, none, one) in [
            (
                "memory.events",
                "low 0\noom 0\noom_kill 0\n",
                "oom 2\noom_kill 1\n",
            ),
            (
                "memory.oom_control",
                "under_oom 0\noom_kill 0\n",
                "under_oom 0\noom_kill 2\n",
            ),
        ] {
            fs::write(group.join(file), none).unwrap();
            assert!(!placement.saw_oom_kill());
            fs::write(group.join(file), one).unwrap();
            assert!(placement.saw_oom_kill());
            fs::remove_file(group.join(file)).unwrap();
        }
        for (most, events, refused) in [
            ("5", "max 0\n", false),
            ("5", "max 3\n", true),
            ("max", "max 3\n", false),
        ] {
            fs::write(group.join("pids.max"), most).unwrap();
            fs::write(group.join("pids.events"), events).unwrap();
            assert_eq!(placement.saw_refused_fork(), refused, "{most} {events}");
        }
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
        // The kernel's files go with their folder.
        fs::remove_file(base.path().join("fleet-host/tag/shims/cgroup.procs")).unwrap();
        placement.remove_parents();
        assert!(base.path().exists() && !base.path().join("fleet-host").exists());
    }
}
