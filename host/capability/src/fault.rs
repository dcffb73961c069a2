//! Failures of the machine as the one error shape.

use std::io;
use std::path::Path;

use fleet_model::{Error, ErrorKind};

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
