//! One side of a copy, as it is typed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where something is copied from or to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Side {
    /// Standard input or output.
    Standard,
    /// A path of this machine.
    Local(PathBuf),
    /// A path of a workload's workspace.
    Workload {
        /// The workload's name or id.
        name: String,
        /// The path, without what changes nothing in it; empty for the workspace itself.
        path: String,
        /// What its end says of it.
        shape: Shape,
    },
}

/// What the end of a path says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A folder: it ends with `/`, or is the workspace.
    Folder,
    /// Nothing.
    Any,
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            _ if text == "-" => Ok(Self::Standard),
            _ if text.is_empty() => Err("it is empty: name a file, or - for standard input".into()),
            Some(("", _)) => Err("there is no workload before the `:`".into()),
            Some((name, path)) if !name.contains('/') => {
                let plain = plain(path);
                let is_folder = path.ends_with('/') || path.ends_with("/.") || plain.is_empty();
                Ok(Self::Workload {
                    name: name.to_owned(),
                    path: plain,
                    shape: if is_folder { Shape::Folder } else { Shape::Any },
                })
            }
            _ => Ok(Self::Local(text.into())),
        }
    }
}

/// A path without parts that change nothing. One from the top stays one: the host refuses it.
pub(in crate::commands::workload) fn plain(path: &str) -> String {
    let parts: Vec<_> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let top = if path.starts_with('/') && path != "/" {
        "/"
    } else {
        ""
    };
    format!("{top}{}", parts.join("/"))
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("-"),
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Workload { name, path, .. } => write!(f, "{name}:{path}"),
        }
    }
}

/// A path below a folder of a workspace.
pub(super) fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// The last name of a path; none of the workspace itself.
pub(super) fn last(path: &str) -> Option<&str> {
    path.rsplit('/').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_stands_before_a_colon_and_a_path_may_have_one_after_a_slash() {
        let workload = |name: &str, path: &str, shape| {
            Ok(Side::Workload {
                name: name.into(),
                path: path.into(),
                shape,
            })
        };
        let local = |path: &str| Ok(Side::Local(path.into()));
        for (text, side) in [
            ("-", Ok(Side::Standard)),
            ("a", local("a")),
            ("./a:b", local("./a:b")),
            ("/a:b", local("/a:b")),
            ("dir/a:b", local("dir/a:b")),
            ("web:a", workload("web", "a", Shape::Any)),
            ("web:a:b", workload("web", "a:b", Shape::Any)),
            ("web:", workload("web", "", Shape::Folder)),
            ("web:.", workload("web", "", Shape::Folder)),
            ("web:./", workload("web", "", Shape::Folder)),
            ("web:/", workload("web", "", Shape::Folder)),
            ("web:conf/", workload("web", "conf", Shape::Folder)),
            ("web:./a//b/.", workload("web", "a/b", Shape::Folder)),
            // The host says what is wrong with these.
            (
                "web:/etc/passwd",
                workload("web", "/etc/passwd", Shape::Any),
            ),
            ("web:../x", workload("web", "../x", Shape::Any)),
        ] {
            assert_eq!(text.parse::<Side>(), side, "{text}");
        }
        assert!("".parse::<Side>().is_err());
        assert!(":a".parse::<Side>().is_err());
        assert_eq!(
            (below("", "a"), below("a", "b")),
            ("a".into(), "a/b".into())
        );
        assert_eq!(
            (last("a/b"), last("a"), last("")),
            (Some("b"), Some("a"), None)
        );
    }
}
