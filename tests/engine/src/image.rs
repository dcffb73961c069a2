//! The image tests run: a static busybox under all its names.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http;

/// Its name. It names no program by itself, and has the users `root` and `guest` (1000).
pub const IMAGE: &str = "fleet-test:1";

/// Gives it to an engine.
pub(crate) fn load(socket: &Path) {
    let (repo, tag) = IMAGE.split_once(':').unwrap();
    let path = format!("/v1.41/images/create?fromSrc=-&repo={repo}&tag={tag}");
    let (status, said) = http::ask(socket, "POST", &path, "application/x-tar", &files()).unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(status == 200 && !said.contains("error"), "{status} {said}");
}

/// Its files, as tar packs them.
fn files() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/:/bin/sh\nguest:x:1000:1000:guest:/:/bin/sh\n",
    )
    .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nguest:x:1000:\n").unwrap();
    fs::copy(busybox(), root.join("bin/busybox")).unwrap();
    let list = Command::new(busybox())
        .arg("--list")
        .output()
        .unwrap()
        .stdout;
    for name in String::from_utf8(list).unwrap().lines() {
        if name != "busybox" {
            symlink("busybox", root.join("bin").join(name)).unwrap();
        }
    }
    let tar = Command::new("tar")
        .args(["--create", "--owner=0", "--group=0", "--directory"])
        .arg(root)
        .arg(".")
        .output()
        .unwrap();
    assert!(
        tar.status.success(),
        "{}",
        String::from_utf8_lossy(&tar.stderr)
    );
    tar.stdout
}

fn busybox() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("busybox"))
        .find(|file| file.is_file())
        .unwrap_or_else(|| "/bin/busybox".into())
}
