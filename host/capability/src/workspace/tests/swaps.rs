//! Names that change while they are used: a program swaps them thousands of times, and nothing outside
//! is ever read or written.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::RenameFlags;

use super::super::change::Depth;
use super::*;

const ROUNDS: u64 = 3_000;

/// How many times as many rounds are gone for both outcomes: a busy machine may not swap for a while.
const PATIENCE: u64 = 20;

/// Swaps two names for each other, without a moment without either, while `work` is done so often at
/// least, and they were swapped so often; and on, until both outcomes were seen.
fn while_swapped(rounds: u64, tally: &Tally, one: &Path, other: &Path, mut work: impl FnMut(u64)) {
    let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stop = OnDrop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let flags = RenameFlags::EXCHANGE;
                if rustix::fs::renameat_with(CWD, one, CWD, other, flags).is_ok() {
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let mut round = 0;
        while round < rounds
            || swaps.load(Ordering::Relaxed) < rounds
            || (!tally.has_both() && round < rounds * PATIENCE)
        {
            work(round);
            round += 1;
        }
    });
}

/// Stops the swapping also where a test fails.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What came of the rounds: both must happen, or nothing was tested.
#[derive(Default)]
struct Tally {
    done: Cell<u64>,
    refused: Cell<u64>,
}

impl Tally {
    fn count<T>(&self, outcome: Result<T, Error>, codes: &[&str]) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.done.update(|count| count + 1);
                Some(value)
            }
            Err(error) => {
                assert!(codes.contains(&error.code.as_str()), "{error:?}");
                self.refused.update(|count| count + 1);
                None
            }
        }
    }

    fn has_both(&self) -> bool {
        self.done.get() > 0 && self.refused.get() > 0
    }

    fn both(&self) {
        assert!(
            self.has_both(),
            "{} {}",
            self.done.get(),
            self.refused.get()
        );
    }
}

/// A workspace with a folder `door`, a link `decoy` to the folder `far` outside, and the same names in
/// both.
fn doors() -> (TempDir, Workspaces, PathBuf) {
    let (folder, workspaces, path) = workspaces();
    let far = folder.path().join("far");
    for place in [&far, &path.join("door")] {
        fs::create_dir(place).unwrap();
        fs::create_dir(place.join("sub")).unwrap();
    }
    fs::write(far.join("file"), "outside").unwrap();
    fs::write(path.join("door/file"), "inside").unwrap();
    symlink(&far, path.join("decoy")).unwrap();
    (folder, workspaces, path)
}

fn is_untouched(folder: &TempDir) {
    let far = folder.path().join("far");
    assert_eq!(names(&far), ["file", "sub"]);
    assert_eq!(names(&far.join("sub")), [""; 0]);
    assert_eq!(fs::read_to_string(far.join("file")).unwrap(), "outside");
}

#[test]
fn a_folder_swapped_for_a_link_outward_is_never_read_through() {
    let (folder, workspaces, path) = doors();
    let tree = workspaces.tree(id()).unwrap();
    let tally = Tally::default();
    while_swapped(
        ROUNDS,
        &tally,
        &path.join("door"),
        &path.join("decoy"),
        |_| {
            if let Some(bytes) = tally.count(get(&tree, "door/file"), &["outside-workspace"]) {
                assert_eq!(bytes, b"inside");
            }
            tally.count(tree.list("door", None, 10), &["outside-workspace"]);
        },
    );
    tally.both();
    is_untouched(&folder);
}

#[test]
fn a_folder_swapped_for_a_link_outward_is_never_written_through() {
    let (folder, workspaces, path) = doors();
    let tree = || workspaces.tree(id()).unwrap();
    let tally = Tally::default();
    let codes = ["outside-workspace", "no-such-file"];
    while_swapped(
        ROUNDS,
        &tally,
        &path.join("door"),
        &path.join("decoy"),
        |round| {
            tally.count(put(tree(), "door/sub/new", b"new"), &codes);
            tally.count(
                tree().make_folder(&format!("door/sub/{}/deep", round % 7)),
                &codes,
            );
            tally.count(tree().remove("door/sub/new", Depth::One), &codes);
            tally.count(
                tree().remove(&format!("door/sub/{}", round % 5), Depth::All),
                &codes,
            );
        },
    );
    tally.both();
    is_untouched(&folder);
}

#[test]
fn a_file_swapped_for_a_link_outward_is_read_or_refused() {
    let (folder, workspaces, path) = doors();
    let tree = workspaces.tree(id()).unwrap();
    let (own, decoy) = (path.join("own"), path.join("link"));
    fs::write(&own, "inside").unwrap();
    symlink(folder.path().join("far/file"), &decoy).unwrap();
    let tally = Tally::default();
    while_swapped(ROUNDS, &tally, &own, &decoy, |_| {
        if let Some(bytes) = tally.count(get(&tree, "own"), &["outside-workspace"]) {
            assert_eq!(bytes, b"inside");
        }
    });
    tally.both();
    is_untouched(&folder);
}

#[test]
fn a_file_swapped_for_a_fifo_is_never_waited_on() {
    let (folder, workspaces, path) = doors();
    let tree = workspaces.tree(id()).unwrap();
    let (own, fifo) = (path.join("own"), path.join("fifo"));
    fs::write(&own, "inside").unwrap();
    rustix::fs::mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    let tally = Tally::default();
    while_swapped(ROUNDS, &tally, &own, &fifo, |_| {
        if let Some(bytes) = tally.count(get(&tree, "own"), &["not-a-file"]) {
            assert_eq!(bytes, b"inside");
        }
    });
    tally.both();
    is_untouched(&folder);
}

#[test]
fn a_folder_swapped_for_a_link_outward_while_it_is_removed_takes_nothing_along() {
    let (folder, workspaces, path) = doors();
    let tree = workspaces.tree(id()).unwrap();
    let (seed, top) = (path.join("seed"), path.join("top"));
    let tally = Tally::default();
    while_swapped(50, &tally, &top.join("a"), &top.join("b"), |round| {
        // What is left of the round before, out of the way.
        let _ = fs::rename(&top, path.join(format!("old-{round}")));
        fs::create_dir_all(seed.join("a/sub")).unwrap();
        for n in 0..20 {
            fs::write(seed.join(format!("a/{n}")), "x").unwrap();
        }
        symlink(folder.path().join("far"), seed.join("b")).unwrap();
        fs::rename(&seed, &top).unwrap();
        // Where a name became something else between two looks, it may have to be asked for again.
        let codes = [
            "not-a-folder",
            "is-a-folder",
            "link-loop",
            "no-such-file",
            "storage",
        ];
        tally.count(tree.remove("top", Depth::All), &codes);
    });
    assert!(tally.done.get() > 0);
    is_untouched(&folder);
}
