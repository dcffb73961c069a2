//! A folder on a disk of its own, which can be small or read-only.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// Mounts, then becomes what follows.
const MOUNT: &str = r#"mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@""#;

/// The words to put before a command so that `folder`, which must be there, is an empty disk for it
/// alone, with these options of tmpfs(5). It is gone with the last process that sees it.
///
/// `None` where this user may not mount; what is not tested then is said.
#[must_use]
pub fn on_disk(folder: &Path, options: &str) -> Option<Vec<OsString>> {
    let mut words: Vec<OsString> = ["unshare", "--mount"].map(OsString::from).into();
    if !rustix::process::geteuid().is_root() {
        words.extend(["--user", "--map-root-user"].map(OsString::from));
    }
    words.extend(["sh", "-c", MOUNT, "sh", options].map(OsString::from));
    words.push(folder.into());
    let (program, rest) = words.split_first()?;
    let tried = Command::new(program)
        .args(rest)
        .arg("true")
        .stderr(Stdio::null())
        .status();
    if tried.is_ok_and(|status| status.success()) {
        return Some(words);
    }
    eprintln!("skipped: this user may not mount, so there is no disk with `{options}`");
    None
}
