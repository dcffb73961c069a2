//! Ways out of a workspace: each is refused, by every operation, and nothing outside is read or changed.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixListener;
use std::process::Command;

use fleet_model::file::FileKind;

use super::super::change::{Depth, Taken};
use super::super::read::Links;
use super::*;

/// A workspace, and beside it a folder `far` with a file `secret`.
struct Cage {
    folder: TempDir,
    workspaces: Workspaces,
    path: PathBuf,
}

impl Cage {
    fn new() -> Self {
        let (folder, workspaces, path) = workspaces();
        fs::create_dir(folder.path().join("far")).unwrap();
        fs::write(folder.path().join("far/secret"), "secret").unwrap();
        fs::write(path.join("own"), "own").unwrap();
        Self {
            folder,
            workspaces,
            path,
        }
    }

    fn tree(&self) -> Tree {
        self.workspaces.tree(id()).unwrap()
    }

    fn far(&self) -> PathBuf {
        self.folder.path().join("far")
    }

    /// Everything that can be done with a path, and what each came to.
    fn attempts(&self, path: &str) -> Vec<(&'static str, Result<(), Error>)> {
        let tree = self.tree();
        vec![
            ("read", get(&tree, path).map(drop)),
            ("list", tree.list(path, None, 10).map(drop)),
            ("stat", tree.stat(path, Links::Keep).map(drop)),
            ("follow", tree.stat(path, Links::Follow).map(drop)),
            ("mkdir", tree.make_folder(path)),
            ("move from", tree.rename(path, "moved", Taken::Replace)),
            ("move to", tree.rename("own", path, Taken::Replace)),
            ("remove", tree.remove(path, Depth::One)),
            ("remove all", tree.remove(path, Depth::All)),
            ("write", put(tree, path, b"new").map(drop)),
        ]
    }

    /// Every operation refuses this path with this code.
    #[track_caller]
    fn refuses(&self, path: &str, code: &str) {
        for (what, outcome) in self.attempts(path) {
            let error = outcome.expect_err(&format!("{what} {path:?}"));
            assert_eq!(error.code, code, "{what} {path:?}: {error}");
        }
        self.is_untouched();
    }

    /// Nothing outside was changed, and what is inside is still there.
    #[track_caller]
    fn is_untouched(&self) {
        assert_eq!(names(&self.far()), ["secret"]);
        let secret = fs::read_to_string(self.far().join("secret")).unwrap();
        assert_eq!(secret, "secret");
        let outside = fs::read_to_string(self.folder.path().join("outside")).unwrap();
        assert_eq!(outside, "kept");
        assert_eq!(fs::read_to_string(self.path.join("own")).unwrap(), "own");
    }
}

#[test]
fn dots_and_absolute_paths_are_refused() {
    let cage = Cage::new();
    let absolute = cage.far().join("secret").display().to_string();
    for path in [
        "..",
        "../",
        "../../../outside",
        "../../../far/secret",
        "a/../../../../outside",
        "own/..",
        "own/../own",
        "/",
        "/etc/passwd",
        "//etc/passwd",
        &absolute,
    ] {
        cage.refuses(path, "outside-workspace");
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let cage = Cage::new();
    let long = "x".repeat(256);
    let deep = "d/".repeat(600) + "x";
    for path in ["a//b", "./a", "a/.", ".", "a/", "a\0b", &long, &deep] {
        cage.refuses(path, "bad-path");
    }
    // The empty path is the workspace itself: it can be looked at, and nothing else.
    for (what, outcome) in cage.attempts("") {
        match what {
            "list" | "stat" | "follow" => outcome.unwrap(),
            "read" => assert_eq!(outcome.unwrap_err().code, "is-a-folder"),
            _ => assert_eq!(outcome.unwrap_err().code, "bad-path", "{what}"),
        }
    }
    cage.is_untouched();
}

#[test]
fn the_longest_names_are_taken() {
    let cage = Cage::new();
    let longest = "x".repeat(255);
    let path = format!("{longest}/{longest}/{longest}/{longest}");
    assert_eq!(path.len(), 1_023);
    put(cage.tree(), &path, b"deep").unwrap();
    assert_eq!(get(&cage.tree(), &path).unwrap(), b"deep");
}

#[test]
fn a_link_outward_is_no_way_and_is_itself_what_is_replaced_or_removed() {
    let cage = Cage::new();
    let far = cage.far();
    for (name, target) in [
        ("absolute", far.join("secret")),
        ("relative", "../../../far/secret".into()),
        ("to-link", "absolute".into()),
        ("to-folder-link", "folder/secret".into()),
        (
            "proc-root",
            format!("/proc/self/root{}/secret", far.display()).into(),
        ),
        ("proc-cwd", "/proc/self/cwd".into()),
        ("proc-fd", "/proc/self/fd/0".into()),
    ] {
        let link = cage.path.join(name);
        let folder = cage.path.join("folder");
        let _ = symlink(&far, &folder);
        let make = || {
            let _ = fs::remove_file(&link);
            symlink(&target, &link).unwrap();
        };
        make();
        if name == "to-link" {
            symlink(far.join("secret"), cage.path.join("absolute")).unwrap();
        }
        let tree = cage.tree();
        for (what, outcome) in [
            ("read", get(&tree, name).map(drop)),
            ("list", tree.list(name, None, 10).map(drop)),
            ("follow", tree.stat(name, Links::Follow).map(drop)),
            ("mkdir", tree.make_folder(name)),
        ] {
            let error = outcome.expect_err(&format!("{what} {name}"));
            assert_eq!(error.code, "outside-workspace", "{what} {name}: {error}");
        }
        let stat = tree.stat(name, Links::Keep).unwrap();
        assert_eq!(stat.kind, FileKind::Link);
        assert_eq!(stat.target.as_deref(), target.to_str());
        tree.rename(name, "moved", Taken::Keep).unwrap();
        tree.remove("moved", Depth::All).unwrap();
        make();
        tree.rename("own", name, Taken::Replace).unwrap();
        tree.rename(name, "own", Taken::Keep).unwrap();
        make();
        put(tree, name, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_file(), "{name}");
        fs::remove_file(&link).unwrap();
        cage.is_untouched();
    }
}

#[test]
fn a_folder_link_outward_is_no_way() {
    let cage = Cage::new();
    symlink(cage.far(), cage.path.join("out")).unwrap();
    symlink("../../../far", cage.path.join("up")).unwrap();
    symlink("out", cage.path.join("again")).unwrap();
    symlink("/", cage.path.join("top")).unwrap();
    symlink("/proc/self/root", cage.path.join("proc")).unwrap();
    for path in [
        "out/secret",
        "out/new",
        "out/new/deep",
        "up/secret",
        "again/secret",
        "top/etc/passwd",
        "proc/etc/passwd",
    ] {
        cage.refuses(path, "outside-workspace");
    }
    // Removed with all that is in it, a link takes nothing along.
    cage.tree().remove("out", Depth::All).unwrap();
    cage.is_untouched();
}

#[test]
fn a_link_to_the_folder_above_the_workspace_is_no_way() {
    let cage = Cage::new();
    symlink("../logs", cage.path.join("logs")).unwrap();
    symlink("..", cage.path.join("up")).unwrap();
    fs::write(cage.workspaces.logs(id()).join("log"), "x").unwrap();
    for path in ["logs/log", "up/logs/log", "up/workspace/own"] {
        cage.refuses(path, "outside-workspace");
    }
}

#[test]
fn links_that_do_not_end_are_refused() {
    let cage = Cage::new();
    symlink("loop", cage.path.join("loop")).unwrap();
    symlink("b", cage.path.join("a")).unwrap();
    symlink("a", cage.path.join("b")).unwrap();
    cage.refuses("loop/x", "link-loop");
    cage.refuses("a/x", "link-loop");
    assert_eq!(get(&cage.tree(), "a").unwrap_err().code, "link-loop");
}

#[test]
fn links_that_stay_inside_are_followed_for_reading_and_replaced_in_writing() {
    let cage = Cage::new();
    fs::create_dir(cage.path.join("folder")).unwrap();
    symlink("own", cage.path.join("link")).unwrap();
    symlink("../own", cage.path.join("folder/back")).unwrap();
    symlink("folder", cage.path.join("way")).unwrap();
    let tree = cage.tree();
    for path in ["link", "folder/back", "way/back"] {
        assert_eq!(get(&tree, path).unwrap(), b"own", "{path}");
        let stat = tree.stat(path, Links::Follow).unwrap();
        assert_eq!((stat.kind, stat.size), (FileKind::File, 3), "{path}");
    }
    assert_eq!(tree.list("way", None, 10).unwrap().entries[0].name, "back");
    put(cage.tree(), "way/new", b"in the folder").unwrap();
    assert_eq!(names(&cage.path.join("folder")), ["back", "new"]);
    put(tree, "link", b"new").unwrap();
    assert!(
        fs::symlink_metadata(cage.path.join("link"))
            .unwrap()
            .is_file()
    );
    cage.is_untouched();
}

#[test]
fn a_path_through_a_file_is_refused() {
    let cage = Cage::new();
    cage.refuses("own/x", "not-a-folder");
    cage.refuses("own/x/y", "not-a-folder");
    let tree = cage.tree();
    assert_eq!(tree.list("own", None, 1).unwrap_err().code, "not-a-folder");
    assert_eq!(tree.make_folder("own").unwrap_err().code, "not-a-folder");
    cage.is_untouched();
}

/// What is no file is shown, never opened, and replaced like a file.
#[track_caller]
fn is_never_opened(cage: &Cage, name: &str) {
    let tree = cage.tree();
    let error = tree.read(name, 0, None).unwrap_err();
    assert_eq!(error.code, "not-a-file", "{error}");
    assert_eq!(tree.stat(name, Links::Keep).unwrap().kind, FileKind::Other);
    let listed = tree.list("", None, 10).unwrap().entries;
    let listed = listed.iter().find(|entry| entry.name == name).unwrap();
    assert_eq!(
        (listed.kind, listed.sha256.as_deref()),
        (FileKind::Other, None)
    );
    tree.rename(name, "moved", Taken::Keep).unwrap();
    put(tree, "moved", b"new").unwrap();
    assert_eq!(fs::read_to_string(cage.path.join("moved")).unwrap(), "new");
    cage.is_untouched();
}

#[test]
fn a_fifo_is_never_opened() {
    let cage = Cage::new();
    let owner = Mode::RUSR | Mode::WUSR;
    rustix::fs::mkfifoat(CWD, cage.path.join("fifo"), owner).unwrap();
    // Opened, it would wait for a writer for ever.
    is_never_opened(&cage, "fifo");
}

#[test]
fn a_socket_is_never_opened() {
    let cage = Cage::new();
    let _listener = UnixListener::bind(cage.path.join("socket")).unwrap();
    is_never_opened(&cage, "socket");
}

#[test]
fn a_device_is_never_opened() {
    let cage = Cage::new();
    let made = rustix::fs::mknodat(
        CWD,
        cage.path.join("zero"),
        rustix::fs::FileType::CharacterDevice,
        Mode::RUSR | Mode::WUSR,
        rustix::fs::makedev(1, 5),
    );
    if made.is_err() {
        eprintln!("skipped: only root makes devices");
        return;
    }
    is_never_opened(&cage, "zero");
}

#[test]
fn hard_names_are_told_apart_and_those_that_are_text_can_be_asked_for() {
    let cage = Cage::new();
    let hard = [
        " ",
        "...",
        "..%2f",
        "%2e%2e",
        "-rf",
        "new\nline",
        "tab\t",
        "\u{202e}txt.exe",
        "e\u{301}",
        "é",
        "\\",
        "'\"$(x)`",
        "日本語",
        "\u{1f600}",
        "\u{1}",
    ];
    for name in hard {
        put(cage.tree(), name, name.as_bytes()).unwrap();
        assert_eq!(
            get(&cage.tree(), name).unwrap(),
            name.as_bytes(),
            "{name:?}"
        );
    }
    for bytes in [&b"\xff"[..], b"\xfe", b"a\xc3"] {
        let name = std::ffi::OsStr::from_bytes(bytes);
        fs::write(cage.path.join(name), "x").unwrap();
    }
    let tree = cage.tree();
    let mut listed = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = tree.list("", after.as_deref(), 3).unwrap();
        listed.extend(page.entries.into_iter().map(|entry| entry.name));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let mut expected: Vec<_> = hard.iter().map(ToString::to_string).collect();
    expected.extend(["own", "\\xFF", "\\xFE", "a\\xC3"].map(str::to_owned));
    expected.sort();
    assert_eq!(listed, expected);
    assert_eq!(get(&tree, "\\xFF").unwrap_err().code, "no-such-file");
    cage.is_untouched();
}

/// Something mounted, unmounted when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(at)
            .output();
        let is_done = mount.is_ok_and(|output| output.status.success());
        is_done.then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn what_is_mounted_in_a_workspace_is_outside_and_survives_its_removal() {
    let cage = Cage::new();
    let at = cage.path.join("folder/mounted");
    fs::create_dir_all(&at).unwrap();
    let Some(_mounted) = Mounted::tmpfs(&at, "size=1m") else {
        eprintln!("skipped: only root mounts");
        return;
    };
    fs::write(at.join("kept"), "kept").unwrap();
    cage.refuses("folder/mounted/kept", "outside-workspace");
    let new = put(cage.tree(), "folder/mounted/new", b"new").unwrap_err();
    assert_eq!(new.code, "outside-workspace");
    // Nor are folders made in it on the way to what is refused.
    symlink("folder/mounted", cage.path.join("link")).unwrap();
    for below in [
        "folder/mounted/deep",
        "folder/mounted/deep/er",
        "link/deep",
        "link/deep/er",
    ] {
        for (what, came) in cage.attempts(below) {
            assert!(came.is_err(), "{what} {below}");
        }
        let made = cage.tree().make_folder(below).unwrap_err();
        assert_eq!(made.code, "outside-workspace", "{below}");
        let new = upload(&format!("{below}/new"), "k", b"new");
        let put = cage.tree().receive(new, NO_RESERVE, None).unwrap_err();
        assert_eq!(put.code, "outside-workspace", "{below}: before it is sent");
    }
    assert_eq!(names(&at), ["kept"]);
    let tree = cage.tree();
    let listed = tree.list("folder/mounted", None, 1).unwrap_err();
    assert_eq!(listed.code, "outside-workspace");
    tree.remove("folder/mounted", Depth::All).unwrap_err();
    tree.remove("folder", Depth::All).unwrap_err();
    cage.workspaces.remove(id()).unwrap_err();
    assert_eq!(fs::read_to_string(at.join("kept")).unwrap(), "kept");
}

/// A small disk of its own, where tests may fill it.
pub(super) fn small_disk(at: &Path, bytes: u64) -> Option<impl Drop> {
    Mounted::tmpfs(at, &format!("size={bytes}"))
}
