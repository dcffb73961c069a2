//! Paths within a workspace.
//!
//! One rule for everybody: the controller checks it when a workload is admitted, the node again
//! before it writes.

use crate::error::Error;

/// The longest part between two slashes, in bytes: what Linux file systems take (`NAME_MAX`).
pub const PART_BYTES: usize = 255;

/// The longest path, in bytes: leaves room for the workspace's own below `PATH_MAX`.
pub const PATH_BYTES: usize = 1_024;

/// Whether this names a file below a workspace: relative, in plain parts.
///
/// # Errors
/// `invalid` (`bad-path`); the message says what is wrong with it.
pub fn check_path(path: &str) -> Result<(), Error> {
    let Some(why) = fault(path) else {
        return Ok(());
    };
    let shown: String = path.chars().take(80).collect();
    let shown = shown.escape_debug();
    Err(Error::invalid(
        "bad-path",
        format!(
            "`{shown}` is not a path within the workspace: {why}; write it as in `conf/app.toml`"
        ),
    ))
}

fn fault(path: &str) -> Option<String> {
    if path.is_empty() {
        return Some("it is empty".to_owned());
    }
    if path.starts_with('/') {
        return Some("it must not start with `/`".to_owned());
    }
    if path.contains('\0') {
        return Some("it holds a zero byte".to_owned());
    }
    if path.len() > PATH_BYTES {
        return Some(format!(
            "it is {} bytes long, and at most {PATH_BYTES} fit",
            path.len()
        ));
    }
    path.split('/').find_map(|part| match part {
        "" => Some("it has a part without a name".to_owned()),
        "." | ".." => Some(format!("it must not have `{part}` in it")),
        long if long.len() > PART_BYTES => Some(format!(
            "it has a name of {} bytes, and at most {PART_BYTES} fit",
            long.len()
        )),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_relative_paths_pass_and_nothing_else() {
        let long = |bytes: usize| "x".repeat(bytes);
        for good in [
            "a",
            "a.b/c-d/..e",
            "...",
            ".env",
            "with space",
            "ü",
            &long(255),
            &[long(255), long(255), long(255), long(256 - 1)].join("/"),
        ] {
            check_path(good).unwrap();
        }
        for (bad, why) in [
            ("", "empty"),
            ("/", "`/`"),
            ("/etc/passwd", "`/`"),
            ("a\0b", "zero byte"),
            ("..", "`..`"),
            ("a/../b", "`..`"),
            ("./a", "`.`"),
            ("a/.", "`.`"),
            ("a//b", "without a name"),
            ("a/", "without a name"),
            (&long(256), "256 bytes"),
            (&["x/".repeat(600), long(1)].concat(), "1201 bytes"),
        ] {
            let error = check_path(bad).unwrap_err();
            assert_eq!(error.code, "bad-path");
            assert!(error.message.contains(why), "{bad}: {error}");
        }
    }
}
