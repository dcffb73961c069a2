//! From this machine into a workspace.

use std::fs;
use std::io::Seek as _;
use std::path::{Path, PathBuf};

use fleet_client::{FileError, Links};
use fleet_model::file::FileKind;

use super::bar::Bar;
use super::local::{self, Link, cannot};
use super::side::{Shape, below};
use super::{Copy, Folders, folder};
use crate::failure::{Exit, Failure, reason};

impl Copy<'_> {
    /// Sends a file or a folder.
    pub(super) async fn send(
        &mut self,
        source: &Path,
        name: &str,
        path: &str,
        shape: Shape,
    ) -> Result<(), Failure> {
        let there = fs::metadata(source).map_err(|error| cannot("read", source, &error))?;
        if there.is_dir() && self.folders == Folders::Refuse {
            return Err(folder(&source.display().to_string()));
        }
        let last = match local::last(source) {
            Some(last) => Some(last.to_str().ok_or_else(|| not_text(source))?),
            None => None,
        };
        let target = match (self.is_folder(name, path, shape).await?, last) {
            (true, Some(last)) => below(path, last),
            _ => path.to_owned(),
        };
        self.report.to = format!("{name}:{target}");
        if there.is_dir() {
            return self.send_folder(source, name, &target).await;
        }
        let (file, metadata) = local::open(source, Link::Follow)?;
        let mode = Some(local::mode(&metadata));
        self.send_file(file, mode, name, &target).await
    }

    /// Sends standard input. How large it is must be known before, so it is kept in a file until its end.
    pub(super) async fn send_input(
        &mut self,
        name: &str,
        path: &str,
        shape: Shape,
    ) -> Result<(), Failure> {
        if self.is_folder(name, path, shape).await? {
            return Err(Failure::usage(format!("`{name}:{path}` is a folder"))
                .help("name the file that standard input becomes, as in `web:conf/app.toml`"));
        }
        let spool = tokio::task::spawn_blocking(|| {
            let mut spool = tempfile::tempfile()?;
            std::io::copy(&mut std::io::stdin().lock(), &mut spool)?;
            spool.rewind()?;
            Ok(spool)
        });
        let spool: std::io::Result<_> = spool
            .await
            .unwrap_or_else(|e| Err(std::io::Error::other(e)));
        let spool = spool.map_err(|error| Failure::io("cannot keep standard input", &error))?;
        self.send_file(spool, None, name, path).await
    }

    /// Whether what is copied goes into this folder, not in its place.
    async fn is_folder(&self, name: &str, path: &str, shape: Shape) -> Result<bool, Failure> {
        match self.client.stat_file(name, path, Links::Follow).await {
            Ok(there) if there.kind == FileKind::Folder => Ok(true),
            Ok(_) if shape == Shape::Folder => {
                let message = format!("`{name}:{path}` is no folder");
                Err(Failure::new(Exit::Refused, message))
            }
            Ok(_) => Ok(false),
            Err(error) if is_missing(&error) => Ok(shape == Shape::Folder),
            // A link outward is replaced, not followed.
            Err(error) if error_code(&error) == Some("outside-workspace") => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn send_folder(&mut self, source: &Path, name: &str, path: &str) -> Result<(), Failure> {
        let mut waiting: Vec<(PathBuf, String)> = vec![(source.to_owned(), path.to_owned())];
        while let Some((here, there)) = waiting.pop() {
            if !there.is_empty() {
                self.client.make_folder(name, &there).await?;
            }
            self.report.folders += 1;
            let mut folders = Vec::new();
            for (entry, kind) in local::list(&here)? {
                let shown = entry.display().to_string();
                let Some(last) = entry.file_name().and_then(|last| last.to_str()) else {
                    self.skip(shown, "its name is not UTF-8")?;
                    continue;
                };
                let path = below(&there, last);
                if kind.is_dir() {
                    folders.push((entry, path));
                } else if kind.is_file() {
                    let (file, metadata) = local::open(&entry, Link::Refuse)?;
                    let mode = Some(local::mode(&metadata));
                    self.send_file(file, mode, name, &path).await?;
                } else if kind.is_symlink() {
                    self.skip(shown, "it is a symbolic link")?;
                } else {
                    self.skip(shown, "it is neither a file nor a folder")?;
                }
            }
            waiting.extend(folders.into_iter().rev());
        }
        Ok(())
    }

    async fn send_file(
        &mut self,
        file: fs::File,
        mode: Option<u32>,
        name: &str,
        path: &str,
    ) -> Result<(), Failure> {
        let upload = self.client.write_file(name, path, file).map_err(failed)?;
        let bar = Bar::begin(path, upload.size());
        let upload = upload.on_progress(bar.mover());
        let upload = match mode {
            Some(mode) => upload.mode(mode),
            None => upload,
        };
        let sent = upload.send().await.map_err(failed)?;
        self.report.file(sent.size, sent.sha256);
        Ok(())
    }
}

fn failed(error: FileError) -> Failure {
    match error {
        FileError::Client(error) => error.into(),
        FileError::Local(error) => {
            Failure::failed(format!("the local file cannot be read: {}", reason(&error)))
        }
        FileError::Shrunk => {
            Failure::failed(error.to_string()).help("copy it again when it is at rest")
        }
    }
}

fn error_code(error: &fleet_client::ClientError) -> Option<&str> {
    match error {
        fleet_client::ClientError::Api { error, .. } => Some(error.code.as_str()),
        _ => None,
    }
}

/// Nothing is there yet: of a missing workload it is something else that is not found.
fn is_missing(error: &fleet_client::ClientError) -> bool {
    error_code(error) == Some("no-such-file")
}

fn not_text(path: &Path) -> Failure {
    Failure::usage(format!("the name of {} is not UTF-8", path.display()))
        .help("name the target, as in `web:file`, or rename it")
}
