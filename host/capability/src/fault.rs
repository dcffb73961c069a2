//! Failures of the machine as the one error shape.

use std::io;
use std::path::Path;

use fleet_model::{Error, ErrorKind};

/// What of a workload's folder stays: most often what a program wrote there as another user, as root in a
/// container does.
pub(crate) fn removal(path: &Path, error: &io::Error) -> Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return storage("remove the folder", path, error);
    }
    let path = path.display();
    Error::unavailable(
        "workspace-foreign-files",
        format!(
            "cannot remove the folder {path}: {error}: a program that ran as another user, such as root in a container, \
             has left files there: remove them (`sudo rm -rf {path}`), and the rest is done by itself"
        ),
    )
}

/// A failed file operation. `doing` reads as "cannot {doing} PATH".
pub(crate) fn storage(doing: &str, path: &Path, error: &io::Error) -> Error {
    let (kind, code, remedy) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
            ErrorKind::Exhausted,
            "disk-full",
            "; free some space on that disk",
        ),
        io::ErrorKind::ReadOnlyFilesystem => (
            ErrorKind::Unavailable,
            "read-only",
            "; make it writable or choose another data folder",
        ),
        io::ErrorKind::PermissionDenied => (
            ErrorKind::Unavailable,
            "no-permission",
            "; give the host's user access to it",
        ),
        _ => (ErrorKind::Unavailable, "storage", ""),
    };
    Error::new(
        kind,
        code,
        format!("cannot {doing} {}: {error}{remedy}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn files_of_another_user_say_what_to_do() {
        let path = Path::new("/data/workspaces/wl_1");
        for errno in [Errno::ACCESS, Errno::PERM] {
            let error = removal(path, &errno.into());
            assert_eq!(error.code, "workspace-foreign-files");
            let said = "`sudo rm -rf /data/workspaces/wl_1`";
            assert!(error.message.contains(said), "{error}");
        }
        assert_eq!(removal(path, &Errno::BUSY.into()).code, "storage");
    }
}
