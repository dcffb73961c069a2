//! Where a workload's packet socket lies.
//!
//! `WORKLOAD/packet.sock` where that is short enough for a socket; else a name made of the
//! workload's path, in a folder of this user's own below `$XDG_RUNTIME_DIR` or `/tmp`. Which of the
//! two is kept with the workload, so that the path stays what its program was told.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::getuid;
use sha2::{Digest, Sha256};

use crate::durable;

/// The longest path of a socket, in bytes: `sun_path` with its end (unix(7)).
const PATH_BYTES: usize = 107;

/// The file that says where short paths begin.
const BASE: &str = "socket-base.json";

/// The path of a workload's socket; makes the folder it lies in.
pub(crate) fn place(workload: &Path, runtime: Option<PathBuf>) -> io::Result<PathBuf> {
    if let Some(direct) = direct(workload) {
        return Ok(direct);
    }
    let name = name(workload);
    let kept = durable::read::<PathBuf>(&workload.join(BASE))?;
    if let Some(base) = &kept
        && let Ok(folder) = private_folder(base)
    {
        return Ok(folder.join(name));
    }
    let mut refused = None;
    for base in runtime.into_iter().chain([PathBuf::from("/tmp")]) {
        if base.join(folder_name()).join(&name).as_os_str().len() > PATH_BYTES {
            continue;
        }
        match private_folder(&base) {
            Ok(folder) => {
                durable::replace(workload, BASE, &base)?;
                return Ok(folder.join(name));
            }
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| io::Error::other("no folder has a path short enough")))
}

/// Removes a socket that lies elsewhere than in the workload's folder, which goes as a whole.
pub(crate) fn remove(workload: &Path) -> io::Result<()> {
    if direct(workload).is_some() {
        return Ok(());
    }
    let Ok(Some(base)) = durable::read::<PathBuf>(&workload.join(BASE)) else {
        return Ok(());
    };
    match fs::remove_file(base.join(folder_name()).join(name(workload))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn direct(workload: &Path) -> Option<PathBuf> {
    let path = workload.join("packet.sock");
    (path.as_os_str().len() <= PATH_BYTES).then_some(path)
}

fn folder_name() -> String {
    format!("fleet-host-{}", getuid().as_raw())
}

fn name(workload: &Path) -> String {
    let digest = Sha256::digest(workload.as_os_str().as_bytes());
    let half = digest.iter().take(16);
    let name: String = half.map(|byte| format!("{byte:02x}")).collect();
    format!("{name}.sock")
}

/// This user's own folder there. One that somebody else made in its place is not used.
fn private_folder(base: &Path) -> io::Result<PathBuf> {
    let folder = base.join(folder_name());
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(&folder)?;
    if found.is_dir() && found.uid() == getuid().as_raw() && found.mode() & 0o077 == 0 {
        return Ok(folder);
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{} is not a folder that this user alone may enter; remove it",
            folder.display()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn long(base: &Path) -> PathBuf {
        let folder = base.join("x".repeat(100));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_short_path_is_used_as_it_is_and_a_long_one_stays_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let near = place(folder.path(), None).unwrap();
        assert_eq!(near, folder.path().join("packet.sock"));

        let workload = long(folder.path());
        let runtime = folder.path().join("run");
        fs::create_dir(&runtime).unwrap();
        let far = place(&workload, Some(runtime.clone())).unwrap();
        assert!(far.starts_with(&runtime) && far.as_os_str().len() <= PATH_BYTES);
        let mode = fs::metadata(far.parent().unwrap()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(place(&workload, None).unwrap(), far);
        let other = folder.path().join("y".repeat(100));
        fs::create_dir(&other).unwrap();
        assert_ne!(place(&other, Some(runtime)).unwrap(), far);

        fs::write(&far, "").unwrap();
        remove(&workload).unwrap();
        assert!(!far.exists());
        remove(&workload).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_enter_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = folder.path().join("run");
        let taken = runtime.join(folder_name());
        fs::create_dir_all(&taken).unwrap();
        fs::set_permissions(&taken, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(private_folder(&runtime).is_err());
        fs::remove_dir(&taken).unwrap();
        std::os::unix::fs::symlink(folder.path(), &taken).unwrap();
        assert!(private_folder(&runtime).is_err());
    }
}
