//! From a workspace to this machine.

use std::path::{Path, PathBuf};

use fleet_client::{Download, Links, Piece, Verdict};
use fleet_model::file::{FileEntry, FileKind};

use super::bar::Bar;
use super::local::{self, Target};
use super::side::{below, last};
use super::{Copy, Folders, folder};
use crate::failure::{Exit, Failure};

impl Copy<'_> {
    /// Fetches a file or a folder.
    pub(super) async fn fetch(
        &mut self,
        name: &str,
        path: &str,
        target: &Path,
    ) -> Result<(), Failure> {
        let entry = self.client.stat_file(name, path, Links::Follow).await?;
        if entry.kind == FileKind::Folder && self.folders == Folders::Refuse {
            return Err(folder(&format!("{name}:{path}")));
        }
        let target = match last(path) {
            Some(last) if target.is_dir() => target.join(last),
            _ => target.to_owned(),
        };
        self.report.to = target.display().to_string();
        match entry.kind {
            FileKind::Folder => self.fetch_folder(name, path, target).await,
            _ => self.fetch_file(name, path, entry.mode, &target).await,
        }
    }

    /// Fetches a file to standard output, byte for byte.
    pub(super) async fn fetch_to_output(&mut self, name: &str, path: &str) -> Result<(), Failure> {
        let entry = self.client.stat_file(name, path, Links::Follow).await?;
        if entry.kind == FileKind::Folder {
            let message =
                format!("`{name}:{path}` is a folder, and standard output takes one file");
            return Err(Failure::usage(message).help(
                "name a file in it, or copy it to a folder of this machine with --recursive",
            ));
        }
        let mut download = self.client.read_file(name, path);
        let mut is_printed = false;
        while let Some(piece) = download.next().await? {
            match piece {
                Piece::Bytes(bytes) => {
                    is_printed = true;
                    self.output.bytes(&bytes)?;
                }
                Piece::Again if is_printed => {
                    let message = format!(
                        "`{name}:{path}` changed while it was read, and what was printed is not all of one"
                    );
                    return Err(Failure::failed(message).help("copy it again when it is at rest"));
                }
                Piece::Again => {}
            }
        }
        self.checked(&download, name, path).await?;
        Ok(())
    }

    async fn fetch_folder(&mut self, name: &str, path: &str, to: PathBuf) -> Result<(), Failure> {
        let mut waiting = vec![(path.to_owned(), to)];
        while let Some((there, here)) = waiting.pop() {
            local::make_folder(&here)?;
            self.report.folders += 1;
            let mut folders = Vec::new();
            let mut after: Option<String> = None;
            loop {
                let page = self
                    .client
                    .files_page(name, &there, after.as_deref())
                    .await?;
                for entry in page.items {
                    let path = below(&there, &entry.name);
                    if let Some(why) = left_out(&entry) {
                        self.skip(format!("{name}:{path}"), why)?;
                    } else if entry.kind == FileKind::Folder {
                        folders.push((path, here.join(&entry.name)));
                    } else {
                        self.fetch_listed(name, &path, &entry, &here).await?;
                    }
                }
                match page.next {
                    Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                    _ => break,
                }
            }
            waiting.extend(folders.into_iter().rev());
        }
        Ok(())
    }

    /// One of many: a program may have removed it since it was listed.
    async fn fetch_listed(
        &mut self,
        name: &str,
        path: &str,
        entry: &FileEntry,
        folder: &Path,
    ) -> Result<(), Failure> {
        let target = folder.join(&entry.name);
        match self.fetch_file(name, path, entry.mode, &target).await {
            Err(failure) if failure.exit == Exit::NotFound && folder.is_dir() => self.skip(
                format!("{name}:{path}"),
                "it is not there any more, or its name is not UTF-8",
            ),
            outcome => outcome,
        }
    }

    async fn fetch_file(
        &mut self,
        name: &str,
        path: &str,
        mode: u32,
        target: &Path,
    ) -> Result<(), Failure> {
        let mut file = Target::at(target)?;
        let mut download = self.client.read_file(name, path);
        let mut bar: Option<Bar> = None;
        let mut came = 0;
        while let Some(piece) = download.next().await? {
            match piece {
                Piece::Bytes(bytes) => {
                    file.write(&bytes)?;
                    came += bytes.len() as u64;
                }
                Piece::Again => {
                    file.clear()?;
                    came = 0;
                }
            }
            let size = download.size().unwrap_or_default();
            bar.get_or_insert_with(|| Bar::begin(path, size)).mover()(came);
        }
        drop(bar);
        let sha256 = self.checked(&download, name, path).await?;
        file.keep(mode)?;
        self.report.file(came, sha256);
        Ok(())
    }

    /// Makes sure that what came is what is there, where that can be told.
    async fn checked(
        &mut self,
        download: &Download,
        name: &str,
        path: &str,
    ) -> Result<String, Failure> {
        let checked = download.check().await?;
        match checked.verdict {
            Verdict::Same => {}
            Verdict::Changed => {
                let what = format!("{name}:{path}");
                self.output.warning(&format!(
                    "{what} changed while it was copied: the copy is not compared with it"
                ))?;
                self.report.changed.push(what);
            }
            Verdict::Another => {
                let message =
                    format!("what came of `{name}:{path}` has another SHA-256 than what is there");
                return Err(Failure::failed(message).help("copy it again"));
            }
        }
        Ok(checked.sha256)
    }
}

/// Why something that is listed is not copied.
fn left_out(entry: &FileEntry) -> Option<&'static str> {
    let is_name =
        !matches!(entry.name.as_str(), "" | "." | "..") && !entry.name.contains(['/', '\0']);
    match entry.kind {
        // No host lists such a name; one that does is not to choose what is written here.
        _ if !is_name => Some("it has no name of a file"),
        FileKind::File | FileKind::Folder => None,
        FileKind::Link => Some("it is a symbolic link"),
        FileKind::Other => Some("it is neither a file nor a folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_and_folders_with_names_are_copied() {
        let entry = |name: &str, kind| FileEntry {
            name: name.into(),
            kind,
            size: 0,
            mode: 0o644,
            modified_ms: 0,
            target: None,
            sha256: None,
        };
        assert_eq!(left_out(&entry("a", FileKind::File)), None);
        assert_eq!(left_out(&entry("...", FileKind::Folder)), None);
        for name in ["", ".", "..", "a/b", "../x", "/etc", "a\0"] {
            assert!(left_out(&entry(name, FileKind::File)).is_some(), "{name:?}");
        }
        for kind in [FileKind::Link, FileKind::Other] {
            assert!(left_out(&entry("a", kind)).is_some());
        }
    }
}
