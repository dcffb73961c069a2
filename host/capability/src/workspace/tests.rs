//! What a program may have planted, and what the host does about it.

mod changing;
mod escapes;
mod reading;
mod swaps;
mod uploads;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fleet_model::WorkloadId;
use fleet_model::file::Upload;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_res_uid;
use tempfile::TempDir;

use super::*;
use crate::secret::SecretValue;

fn id() -> WorkloadId {
    WorkloadId::new(1, 2)
}

fn workspaces() -> (TempDir, Workspaces, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("outside"), "kept").unwrap();
    let workspaces = Workspaces::open(&folder.path().join("root")).unwrap();
    let path = workspaces.create(id()).unwrap();
    (folder, workspaces, path)
}

fn file(path: &str, text: &str) -> WorkspaceFile {
    WorkspaceFile {
        path: path.to_owned(),
        bytes: SecretValue::new(text.as_bytes().to_vec()),
        mode: 0o640,
    }
}

/// How tests put a file into a workspace.
fn upload(path: &str, key: &str, bytes: &[u8]) -> Upload {
    Upload {
        path: path.to_owned(),
        key: key.to_owned(),
        offset: 0,
        size: bytes.len() as u64,
        sha256: None,
        mode: None,
    }
}

const NO_RESERVE: Reserve = Reserve { bytes: 0 };

fn put(tree: Tree, path: &str, bytes: &[u8]) -> Result<String, Error> {
    let mut incoming = tree.receive(upload(path, "k", bytes), NO_RESERVE, None)?;
    incoming.write(bytes)?;
    match incoming.finish()? {
        Progress::Placed { sha256 } => Ok(sha256),
        Progress::Waiting { arrived, .. } => panic!("{arrived} arrived"),
    }
}

fn get(tree: &Tree, path: &str) -> Result<Vec<u8>, Error> {
    let mut reading = tree.read(path, 0, None)?;
    let mut all = Vec::new();
    loop {
        match reading.next(1_000)? {
            bytes if bytes.is_empty() => return Ok(all),
            bytes => all.extend_from_slice(&bytes),
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_are_written_whole_with_their_folders_and_mode() {
    let (_folder, workspaces, _) = workspaces();
    let id = WorkloadId::new(1, 3);
    let path = workspaces.path(id);
    let files = [file("a", "one"), file("conf/deep/b", "two")];
    workspaces.write_files(id, &files).unwrap();
    let inner = path.join("conf/deep/b");
    assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "one");
    assert_eq!(fs::read_to_string(&inner).unwrap(), "two");
    assert_eq!(fs::metadata(&inner).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(names(&path), ["a", "conf"]);
    assert_eq!(names(&path.join("conf/deep")), ["b"]);
}

#[test]
fn the_same_content_is_not_written_again_and_its_mode_is_mended() {
    let (_folder, workspaces, path) = workspaces();
    let write = |text: &str| {
        workspaces.write_files(id(), &[file("a", text)]).unwrap();
        let metadata = fs::metadata(path.join("a")).unwrap();
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
    };
    let first = write("one");
    assert_eq!(write("one"), first);
    fs::set_permissions(path.join("a"), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(write("one"), first);
    assert_eq!(fs::metadata(path.join("a")).unwrap().mode() & 0o7777, 0o640);
    assert_ne!(write("two").0, first.0);
    // A second name may be anywhere: the file is not touched, whatever is in it.
    fs::hard_link(path.join("a"), path.join("second")).unwrap();
    let before = fs::metadata(path.join("second")).unwrap();
    assert_ne!(write("two").0, before.ino());
    assert_eq!(fs::metadata(path.join("second")).unwrap().nlink(), 1);
}

#[test]
fn nothing_that_was_planted_leads_outside() {
    let (folder, workspaces, path) = workspaces();
    let outside = folder.path().join("outside");
    symlink(&outside, path.join("link")).unwrap();
    symlink("../../../outside", path.join("relative")).unwrap();
    fs::hard_link(&outside, path.join("hard")).unwrap();
    let owner = Mode::RUSR | Mode::WUSR;
    rustix::fs::mkfifoat(CWD, path.join("fifo"), owner).unwrap();
    // In the place of the file under its first name.
    symlink(&outside, path.join(".fleet-host.new")).unwrap();
    for name in ["link", "relative", "hard", "fifo"] {
        workspaces.write_files(id(), &[file(name, "new")]).unwrap();
        let metadata = fs::symlink_metadata(path.join(name)).unwrap();
        assert!(metadata.is_file(), "{name}");
        assert_eq!(fs::read_to_string(path.join(name)).unwrap(), "new");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");

    fs::create_dir(folder.path().join("far")).unwrap();
    symlink(folder.path().join("far"), path.join("out")).unwrap();
    symlink("../../../far", path.join("up")).unwrap();
    symlink("missing", path.join("dangling")).unwrap();
    symlink("self", path.join("self")).unwrap();
    fs::create_dir_all(path.join("folder/in-it")).unwrap();
    fs::write(path.join("plain"), "").unwrap();
    for name in [
        "out/a",
        "up/a",
        "up/new/a",
        "dangling/a",
        "self/a",
        "plain/a",
        "folder",
    ] {
        let error = workspaces
            .write_files(id(), &[file(name, "new")])
            .unwrap_err();
        assert_eq!(error.code, "file-in-the-way", "{name}: {error}");
    }
    assert_eq!(names(&folder.path().join("far")), [""; 0]);
    assert_eq!(names(&path.join("folder")), ["in-it"]);
    assert!(!names(&path).contains(&".fleet-host.new".to_owned()));

    // A link that stays inside is a way like any other.
    symlink("folder/in-it", path.join("inside")).unwrap();
    workspaces
        .write_files(id(), &[file("inside/a", "x")])
        .unwrap();
    assert!(path.join("folder/in-it/a").exists());

    // The workspace itself was swapped.
    fs::rename(&path, path.with_file_name("elsewhere")).unwrap();
    symlink(folder.path().join("far"), &path).unwrap();
    workspaces.write_files(id(), &[file("a", "x")]).unwrap_err();
    assert_eq!(names(&folder.path().join("far")), [""; 0]);
}

#[test]
fn a_bad_path_is_refused_before_anything_is_written() {
    let (_folder, workspaces, path) = workspaces();
    for bad in ["../outside", "/etc/x", "a/../../b", "", "a//b", "a\0b"] {
        let files = [file("good", "x"), file(bad, "x")];
        let error = workspaces.write_files(id(), &files).unwrap_err();
        assert_eq!(error.code, "bad-path", "{bad:?}");
    }
    assert_eq!(names(&path), [""; 0]);
}

#[test]
fn what_is_used_is_counted_once_and_links_are_not_followed() {
    let (folder, workspaces, path) = workspaces();
    let empty = workspaces.usage(id()).unwrap();
    assert_eq!(
        workspaces.usage(WorkloadId::new(9, 9)).unwrap(),
        Usage::default()
    );
    let large = vec![7; 1 << 20];
    fs::write(folder.path().join("far"), &large).unwrap();
    symlink(folder.path().join("far"), path.join("link")).unwrap();
    symlink(folder.path(), path.join("folder-link")).unwrap();
    let sparse = fs::File::create(path.join("sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    fs::create_dir_all(path.join("a/b")).unwrap();
    fs::write(path.join("a/b/file"), &large).unwrap();
    fs::File::open(path.join("a/b/file"))
        .unwrap()
        .sync_all()
        .unwrap();
    fs::hard_link(path.join("a/b/file"), path.join("again")).unwrap();
    let logged = vec![7; 1 << 18];
    fs::write(workspaces.logs(id()).join("00000001.log"), &logged).unwrap();
    fs::create_dir(workspaces.folder(id()).join("uploads")).unwrap();
    fs::write(workspaces.folder(id()).join("uploads/a.part"), &logged).unwrap();
    let usage = workspaces.usage(id()).unwrap();
    assert!(usage.uploads_bytes >= 1 << 18, "{usage:?}");
    assert_eq!(
        usage.limited_bytes(),
        usage.workspace_bytes + usage.uploads_bytes
    );
    let grown = usage.workspace_bytes - empty.workspace_bytes;
    assert!(
        ((1 << 20)..(1 << 20) + (1 << 17)).contains(&grown),
        "{usage:?}"
    );
    let grown = usage.logs_bytes - empty.logs_bytes;
    assert!(
        ((1 << 18)..(1 << 18) + (1 << 16)).contains(&grown),
        "{usage:?}"
    );
    assert_eq!(usage.unseen, 0);
}

#[test]
fn however_deep_the_tree_all_of_it_is_counted() {
    let (_folder, workspaces, path) = workspaces();
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut deep = rustix::fs::open(&path, flags, Mode::empty()).unwrap();
    // Longer than any path may be.
    for _ in 0..600 {
        rustix::fs::mkdirat(&deep, "deeper-yet", Mode::RWXU).unwrap();
        rustix::fs::mkdirat(&deep, "side", Mode::RWXU).unwrap();
        deep = rustix::fs::openat(&deep, "deeper-yet", flags, Mode::empty()).unwrap();
    }
    let file = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&deep, "file", file, Mode::RWXU).unwrap();
    let before = workspaces.usage(id()).unwrap();
    assert_eq!(before.unseen, 0);
    rustix::io::write(&file, &[7; 1 << 16]).unwrap();
    rustix::fs::fsync(&file).unwrap();
    let after = workspaces.usage(id()).unwrap();
    assert!(after.workspace_bytes >= before.workspace_bytes + (1 << 16));
    workspaces.remove(id()).unwrap();
}

/// Does something as a user who may not do everything: root enters what is closed.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let nobody = Uid::from_raw(65_534);
    let drop_rights = move || {
        if geteuid().is_root() {
            // Of this thread alone.
            set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        work()
    };
    std::thread::scope(|scope| scope.spawn(drop_rights).join().unwrap())
}

#[test]
fn what_a_program_has_closed_is_opened_up_and_counted() {
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let (_folder, workspaces, path) = as_nobody(|| {
        let (folder, workspaces, path) = workspaces();
        for closed in ["none", "no-list", "no-way"] {
            fs::create_dir_all(path.join(closed).join("inner")).unwrap();
            let file = path.join(closed).join("inner/file");
            fs::write(&file, [7; 1 << 16]).unwrap();
            fs::File::open(&file).unwrap().sync_all().unwrap();
        }
        let before = workspaces.usage(id()).unwrap();
        assert!(before.workspace_bytes >= 3 << 16, "{before:?}");
        mode(&path.join("none/inner"), 0o000);
        for (closed, bits) in [("none", 0o000), ("no-list", 0o300), ("no-way", 0o600)] {
            mode(&path.join(closed), bits);
        }
        mode(&path, 0o000);
        assert_eq!(workspaces.usage(id()).unwrap(), before);
        (folder, workspaces, path)
    });
    // What is another user's is said to be closed.
    if geteuid().is_root() {
        fs::create_dir(path.join("foreign")).unwrap();
        mode(&path.join("foreign"), 0o700);
        let usage = as_nobody(|| workspaces.usage(id()).unwrap());
        assert_eq!((usage.unseen, usage.closed), (1, 1), "{usage:?}");
    }
}

#[test]
fn a_tree_that_changes_meanwhile_is_survived() {
    let (_folder, workspaces, path) = workspaces();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let turns = std::sync::atomic::AtomicU64::new(0);
    let load =
        |flag: &std::sync::atomic::AtomicBool| flag.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !load(&stop) {
                fs::create_dir_all(path.join("a/b/c/d")).unwrap();
                fs::write(path.join("a/b/c/file"), "x").unwrap();
                fs::rename(path.join("a/b/c"), path.join("moved")).unwrap();
                fs::remove_dir_all(path.join("a")).unwrap();
                fs::remove_dir_all(path.join("moved")).unwrap();
                turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
        let mut measured = 0;
        while measured < 500 || turns.load(std::sync::atomic::Ordering::Relaxed) < 100 {
            workspaces.usage(id()).unwrap();
            measured += 1;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
