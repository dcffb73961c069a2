//! The data folder: for its owner only, for one host at a time, with the admin token at its top.
//!
//! The lock is the kernel's (`flock`), so it is gone with the process that held it, however that
//! ended; the pid written into the file is for the message of the next one.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use fleet_seam::Entropy;
use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, reason};
use crate::folder::{CONFIG, SEALING_KEY, TOKEN};
use crate::run::grants;

const LOCK: &str = "host.lock";

/// How often the lock is tried, and how long between two tries.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

/// The controller's memory, and the node's.
pub(super) const CONTROLLER_DB: &str = "controller.db";
pub(super) const NODE_DB: &str = "node.db";

/// Where the service manager puts credentials (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The credential that holds the sealing key.
const SEALING_CREDENTIAL: &str = "fleet-host.secret-key";

/// A data folder that is this process's own, until it is dropped.
#[derive(Debug)]
pub(super) struct DataFolder {
    path: PathBuf,
    /// Held; and known again by its inode.
    lock: File,
}

impl DataFolder {
    /// Takes a folder, made if it is not there.
    pub(super) fn take(path: &Path) -> Result<Self, Failure> {
        make(path)?;
        let path = path
            .canonicalize()
            .map_err(|error| unusable(path, &error))?;
        let lock = lock(&path)?;
        Ok(Self { path, lock })
    }

    /// Whether what this process locked is still what stands there. A folder that was removed, or
    /// put in place of it, is not this host's any more.
    pub(super) fn is_there(&self) -> bool {
        let (Ok(ours), Ok(there)) = (self.lock.metadata(), self.path.join(LOCK).metadata()) else {
            return false;
        };
        (ours.dev(), ours.ino()) == (there.dev(), there.ino())
    }

    /// Where it is, from the root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The admin token, made if there is none. Never printed.
    pub(super) fn token(&self, entropy: &dyn Entropy) -> Result<String, Failure> {
        self.secret(TOKEN, entropy)
    }

    /// The key that secrets are sealed with, as text: from the service manager's credential where
    /// there is one, else from a file of its own; nothing where there is none. Never printed. A backup
    /// of the database without it opens nothing.
    pub(super) fn sealing_key(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        if let Some(folder) = std::env::var_os(CREDENTIALS) {
            let file = Path::new(&folder).join(SEALING_CREDENTIAL);
            match std::fs::read_to_string(&file) {
                Ok(text) => return Ok(Some(Zeroizing::new(text))),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(unusable(&file, &error)),
            }
        }
        let file = self.path.join(SEALING_KEY);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                // A copy from elsewhere may have brought wider permissions along.
                std::fs::set_permissions(&file, Permissions::from_mode(0o600))
                    .map_err(|error| unusable(&file, &error))?;
                Ok(Some(Zeroizing::new(text)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            // What is no text is no key: the controller goes on without, and says so.
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(Some(Zeroizing::default())),
            Err(error) => Err(unusable(&file, &error)),
        }
    }

    /// Makes the sealing key.
    pub(super) fn new_sealing_key(
        &self,
        entropy: &dyn Entropy,
    ) -> Result<Zeroizing<String>, Failure> {
        self.secret(SEALING_KEY, entropy).map(Zeroizing::new)
    }

    /// Where the sealing key is kept.
    pub(super) fn sealing_key_file(&self) -> PathBuf {
        self.path.join(SEALING_KEY)
    }

    /// 256 random bits in a file of their own.
    fn secret(&self, name: &str, entropy: &dyn Entropy) -> Result<String, Failure> {
        let file = self.path.join(name);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                // A copy from elsewhere may have brought wider permissions along.
                std::fs::set_permissions(&file, Permissions::from_mode(0o600))
                    .map_err(|error| unusable(&file, &error))?;
                Ok(text.trim().to_owned())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => self
                .new_secret(&file, entropy)
                .map_err(|error| unusable(&file, &error)),
            Err(error) => Err(unusable(&file, &error)),
        }
    }

    /// Written beside and moved, so that there is never a part of one.
    fn new_secret(&self, file: &Path, entropy: &dyn Entropy) -> io::Result<String> {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // Such a file is 0600 from its first moment.
        let mut beside = tempfile::NamedTempFile::new_in(&self.path)?;
        writeln!(beside, "{token}")?;
        beside.as_file().sync_all()?;
        beside.persist(file)?;
        File::open(&self.path)?.sync_all()?;
        Ok(token)
    }
}

/// Makes the folder, or sees that it is fit: nobody else may look into it.
fn make(path: &Path) -> Result<(), Failure> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) => return Err(unusable(path, &error)),
    }
    let found = path.metadata().map_err(|error| unusable(path, &error))?;
    if !found.is_dir() {
        return Err(unusable(path, &io::Error::from(ErrorKind::NotADirectory)));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        let message = format!("the data folder {} belongs to another user", path.display());
        return Err(Failure::new(Exit::Refused, message)
            .help("run the host as that user, or name another folder with --data"));
    }
    if found.mode() & 0o077 == 0 {
        return Ok(());
    }
    if !is_ours_alone(path).map_err(|error| unusable(path, &error))? {
        let message = format!(
            "the data folder {} is open to other users and holds other things",
            path.display()
        );
        return Err(Failure::new(Exit::Refused, message).help(
            "name a folder of its own with --data: one that is not there yet, or an empty one",
        ));
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
        .map_err(|error| unusable(path, &error))
}

/// Whether it is a data folder, or one that is about to become one.
fn is_ours_alone(path: &Path) -> io::Result<bool> {
    let mut only_prepared = true;
    for entry in path.read_dir()? {
        let name = entry?.file_name();
        if name == LOCK || name == TOKEN {
            return Ok(true);
        }
        only_prepared &= name == CONFIG || name == grants::FILE;
    }
    Ok(only_prepared)
}

fn lock(folder: &Path) -> Result<File, Failure> {
    let path = folder.join(LOCK);
    let open = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let mut file = open.map_err(|error| unusable(&path, &error))?;
    match patiently(&file) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // The pid is for the message only.
            let _ = file.read_to_string(&mut holder);
            return Err(held(folder, holder.trim()));
        }
        Err(error) => return Err(unusable(&path, &error.into())),
    }
    sign(&mut file).map_err(|error| unusable(&path, &error))?;
    Ok(file)
}

/// A host that was killed while it started a shim may hold the lock for a moment longer, through the
/// shim that is about to begin.
fn patiently(file: &File) -> rustix::io::Result<()> {
    let mut tries = 0;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if tries < LOCK_TRIES => {
                tries += 1;
                pause();
            }
            other => return other,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "before anything runs, for half a second in all"
)]
fn pause() {
    std::thread::sleep(LOCK_PAUSE);
}

/// Says who holds it.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn held(folder: &Path, pid: &str) -> Failure {
    let (who, stop) = match pid {
        "" => ("another host".to_owned(), "stop that one".to_owned()),
        pid => (
            format!("the host with pid {pid}"),
            format!("stop that one (`kill {pid}`)"),
        ),
    };
    Failure::new(
        Exit::Refused,
        format!("the data folder {} is in use by {who}", folder.display()),
    )
    .help(format!("{stop}, or name another folder with --data"))
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let help = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space there, or name another folder with --data"
        }
        _ => "name a folder you can write to with --data or FLEET_DATA",
    };
    Failure::failed(format!("cannot use {}: {}", path.display(), reason(error))).help(help)
}

#[cfg(test)]
mod tests {
    use fleet_seam::SeededEntropy;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn a_new_folder_and_its_token_are_the_owners_alone_and_the_token_stays() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = DataFolder::take(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        let token = folder.token(&SeededEntropy::new(1)).unwrap();
        assert!(
            token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{token}"
        );
        assert_eq!(mode(&path.join(TOKEN)), 0o600);
        std::fs::set_permissions(path.join(TOKEN), Permissions::from_mode(0o644)).unwrap();
        assert_eq!(folder.token(&SeededEntropy::new(2)).unwrap(), token);
        assert_eq!(mode(&path.join(TOKEN)), 0o600);
    }

    #[test]
    fn a_second_host_is_refused_with_the_pid_of_the_first() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataFolder::take(parent.path()).unwrap();
        let failure = DataFolder::take(parent.path()).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert!(
            failure
                .message
                .contains(&format!("pid {}", std::process::id())),
            "{failure:?}"
        );
        assert!(failure.help.unwrap().contains("--data"));
        drop(first);
        DataFolder::take(parent.path()).unwrap();
    }

    #[test]
    fn an_open_folder_is_closed_if_it_is_ours_and_left_alone_if_not() {
        let parent = tempfile::tempdir().unwrap();
        let open =
            |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        std::fs::write(parent.path().join(CONFIG), "").unwrap();
        open(parent.path());
        drop(DataFolder::take(parent.path()).unwrap());
        assert_eq!(mode(parent.path()), 0o700);
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("letters"), "").unwrap();
        open(other.path());
        let failure = DataFolder::take(other.path()).unwrap_err();
        assert!(
            failure.message.contains("holds other things"),
            "{failure:?}"
        );
        assert_eq!(mode(other.path()), 0o755);
    }

    #[test]
    fn a_folder_that_went_or_was_replaced_is_noticed() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let folder = DataFolder::take(&path).unwrap();
        assert!(folder.is_there());
        std::fs::rename(&path, parent.path().join("away")).unwrap();
        assert!(!folder.is_there());
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join(LOCK), "").unwrap();
        assert!(!folder.is_there(), "another one in its place is not it");
    }

    #[test]
    fn a_file_in_its_place_is_told() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        std::fs::write(&path, "").unwrap();
        let failure = DataFolder::take(&path).unwrap_err();
        assert!(
            failure
                .message
                .starts_with(&format!("cannot use {}", path.display())),
            "{failure:?}"
        );
        assert!(failure.help.unwrap().contains("--data"));
    }
}
