//! Files of this machine.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tempfile::NamedTempFile;

use crate::failure::{Exit, Failure, reason};

/// The permission bits that are copied.
const MODE: u32 = 0o777;

/// Whether a link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// It is: somebody named it.
    Follow,
    /// It is not: it was found in a folder.
    Refuse,
}

/// Opens a file, and nothing else; waits for nobody.
pub(super) fn open(path: &Path, link: Link) -> Result<(File, Metadata), Failure> {
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if link == Link::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let open = || {
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        Ok((file, metadata))
    };
    let (file, metadata) = open().map_err(|error: io::Error| cannot("read", path, &error))?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(no_file(path))
    }
}

/// The permissions of a file.
pub(super) fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & MODE
}

/// The last name of a path; none of one that ends with a dot or at the top.
pub(super) fn last(path: &Path) -> Option<&std::ffi::OsStr> {
    let ends_with_dot = path.as_os_str().as_encoded_bytes().ends_with(b"/.");
    path.file_name().filter(|_| !ends_with_dot)
}

/// What is in a folder, in order of the names.
pub(super) fn list(folder: &Path) -> Result<Vec<(PathBuf, fs::FileType)>, Failure> {
    let list = || {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            found.push((entry.path(), entry.file_type()?));
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    };
    list().map_err(|error: io::Error| cannot("read", folder, &error))
}

/// Where a file is to be, and what is written until it is whole: a file beside it that is renamed.
pub(super) struct Target {
    path: PathBuf,
    file: NamedTempFile,
}

impl Target {
    pub(super) fn at(path: &Path) -> Result<Self, Failure> {
        match fs::metadata(path) {
            // In the place of a device or a pipe nobody wants a file.
            Ok(there) if !there.is_file() => return Err(no_file(path)),
            _ => {}
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".fleet-host-")
            .tempfile_in(folder)
            .map_err(|error| cannot("write into", folder, &error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Takes the next bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = io::Write::write_all(self.file.as_file_mut(), bytes);
        written.map_err(|error| cannot("write", &self.path, &error))
    }

    /// Forgets all bytes.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        let file = self.file.as_file_mut();
        file.set_len(0)
            .and_then(|()| io::Seek::rewind(file))
            .map_err(|error| cannot("write", &self.path, &error))
    }

    /// Puts it in its place.
    pub(super) fn keep(self, mode: u32) -> Result<(), Failure> {
        let Self { path, file } = self;
        file.as_file()
            .set_permissions(Permissions::from_mode(mode & MODE))
            .and_then(|()| file.persist(&path).map_err(|error| error.error))
            .map_err(|error| cannot("write", &path, &error))?;
        Ok(())
    }
}

/// Makes a folder; fine if it is there.
pub(super) fn make_folder(path: &Path) -> Result<(), Failure> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.map_err(|error| cannot("make the folder", path, &error)),
    }
}

/// What the system said about a path of this machine.
pub(super) fn cannot(doing: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {doing} {}: {}", path.display(), reason(error));
    let exit = match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::Failed,
    };
    Failure::new(exit, message)
}

fn no_file(path: &Path) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("{} is a folder, a pipe or a device", path.display()),
    )
    .help("name a file; a pipe is read and written through -, as in `cp - web:a < PIPE`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_with_its_mode_and_nothing_stays_of_one_that_was_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        fs::write(&path, "old").unwrap();
        let mut target = Target::at(&path).unwrap();
        target.write(b"something").unwrap();
        target.clear().unwrap();
        target.write(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        target.keep(0o4750).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!((mode & 0o7777, names()), (0o750, 1));
        drop(Target::at(&path).unwrap());
        assert_eq!(names(), 1);
    }

    #[test]
    fn devices_folders_and_pipes_are_neither_read_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let owner = Mode::RUSR | Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, owner).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for path in [Path::new("/dev/null"), folder.path(), &fifo, &link] {
            assert_eq!(
                Target::at(path).err().unwrap().exit,
                Exit::Refused,
                "{path:?}"
            );
            assert_eq!(open(path, Link::Follow).err().unwrap().exit, Exit::Refused);
        }
        let error = open(&link, Link::Refuse).err().unwrap();
        assert_eq!(error.exit, Exit::Failed, "{error:?}");
        let none = open(&folder.path().join("none"), Link::Follow)
            .err()
            .unwrap();
        assert_eq!(none.exit, Exit::NotFound);
    }

    #[test]
    fn a_folder_is_named_or_its_content_is_meant() {
        for (path, name) in [
            ("a/b", Some("b")),
            ("a/b/", Some("b")),
            ("a/.", None),
            (".", None),
            ("..", None),
            ("/", None),
        ] {
            assert_eq!(
                last(Path::new(path)).and_then(|name| name.to_str()),
                name,
                "{path}"
            );
        }
    }
}
