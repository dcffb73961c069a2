//! Changes in a workspace that need no bytes: folders, other names, removal.
//!
//! The last name of a path is never followed: a link is moved or removed itself, whatever it points to.

use std::ffi::CString;
use std::io;

use fleet_model::Error;
use fleet_model::file::FileKind;
use rustix::fs::{AtFlags, RenameFlags, renameat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::entry::kind;
use super::refusal::{folder, not_a_folder, refused, shown, taken};
use super::tree::{Place, Tree, sync};
use crate::removal;

/// What becomes of a file that is in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It stays, and the move is refused.
    Keep,
    /// It is replaced, in one step; a folder never is.
    Replace,
}

/// What is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// A file, a link, an empty folder.
    One,
    /// A folder with all that is in it, too.
    All,
}

impl Tree {
    /// Makes a folder, and those above it that are missing; fine when it is there. Blocks on the disk.
    ///
    /// # Errors
    /// `outside-workspace`, `bad-path`, `not-a-folder`; where the disk refuses.
    pub fn make_folder(&self, path: &str) -> Result<(), Error> {
        let place = self.place_making(path)?;
        match place.stat() {
            Ok(stat) if kind(&stat) == FileKind::Folder => return Ok(()),
            // A link may lead to a folder.
            Ok(stat) if kind(&stat) != FileKind::Link => return Err(not_a_folder(path)),
            _ => {}
        }
        self.make(path).map(drop)
    }

    /// Gives something another path, whose folder must be there. Blocks on the disk.
    ///
    /// # Errors
    /// `outside-workspace`, `bad-path`, `no-such-file`, `file-in-the-way`, `is-a-folder`, `into-itself`;
    /// where the disk refuses.
    pub fn rename(&self, from: &str, to: &str, existing: Taken) -> Result<(), Error> {
        let (old, new) = (self.place(from)?, self.place(to)?);
        let is_below = to
            .strip_prefix(from)
            .is_some_and(|rest| rest.starts_with('/'));
        if is_below {
            return Err(into_itself(from));
        }
        let moved = old.stat().map_err(|error| refused(from, &error))?;
        match renamed(&old, &new, existing) {
            Ok(()) => {}
            // Of folders the kernel says where one goes into itself by way of a link.
            Err(Errno::INVAL) if kind(&moved) == FileKind::Folder => return Err(into_itself(from)),
            Err(Errno::EXIST | Errno::NOTEMPTY) => return Err(taken(to)),
            Err(Errno::ISDIR) => return Err(folder(to)),
            Err(error) => return Err(refused(to, &error.into())),
        }
        sync(new.folder())
            .and_then(|()| sync(old.folder()))
            .map_err(|error| refused(to, &error))
    }

    /// Removes something, and no more than that of what a link points to. Blocks on the disk.
    ///
    /// # Errors
    /// `outside-workspace`, `bad-path`, `no-such-file`, `folder-not-empty`; where the disk refuses.
    pub fn remove(&self, path: &str, depth: Depth) -> Result<(), Error> {
        let place = self.place(path)?;
        let stat = place.stat().map_err(|error| refused(path, &error))?;
        let removed = match (kind(&stat), depth) {
            (FileKind::Folder, Depth::One) => {
                unlinkat(place.folder(), place.name, AtFlags::REMOVEDIR).map_err(io::Error::from)
            }
            (FileKind::Folder, Depth::All) => {
                // What is mounted there is not the workload's.
                self.find(path)?;
                CString::new(place.name)
                    .map_err(io::Error::from)
                    .and_then(|name| removal::remove_in(place.folder(), &name))
            }
            _ => unlinkat(place.folder(), place.name, AtFlags::empty()).map_err(io::Error::from),
        };
        removed
            .and_then(|()| sync(place.folder()))
            .map_err(|error| refused(path, &error))
    }
}

fn renamed(old: &Place<'_>, new: &Place<'_>, existing: Taken) -> Result<(), Errno> {
    let (from, to) = ((old.folder(), old.name), (new.folder(), new.name));
    match existing {
        Taken::Keep => renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE),
        Taken::Replace => {
            // An empty folder would be replaced by another without a word.
            if new.stat().is_ok_and(|stat| kind(&stat) == FileKind::Folder) {
                return Err(Errno::ISDIR);
            }
            renameat(from.0, from.1, to.0, to.1)
        }
    }
}

fn into_itself(path: &str) -> Error {
    Error::invalid(
        "into-itself",
        format!(
            "`{}` cannot be moved into itself: choose a path outside it",
            shown(path)
        ),
    )
    .with("path", path)
}
