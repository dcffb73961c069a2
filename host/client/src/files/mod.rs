//! Files of workloads' workspaces.
//!
//! Bytes are streamed, a piece at a time, whatever the size of the file. A transfer that breaks goes on
//! where it was, for as long as the client is patient ([`crate::ClientOptions::patience`]), and what came
//! is compared by SHA-256 with what is there.

mod download;
mod source;
mod upload;

use std::time::Duration;

use fleet_model::file::FileEntry;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::client::{Client, workload_path};
use crate::error::ClientError;
use crate::page::{PAGE, Page};
use crate::request::Ask;

pub use download::{Checked, Download, Piece, Verdict};
pub use upload::{FileError, Sent, Upload};

/// Whether what a link leads to is meant, or the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// What it leads to.
    Follow,
    /// The link.
    Keep,
}

/// What becomes of a file that is in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It stays, and the move is refused.
    Keep,
    /// It is replaced; a folder never is.
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

/// How long nothing may move before a connection counts as broken.
const STALL: Duration = Duration::from_secs(60);

/// Bytes a second that the slowest disk is expected to read or sync.
const SLOWEST: u64 = 16 * 1024 * 1024;

/// How long the host may work on a file of this size without a word.
fn patience_for(size: u64) -> Duration {
    STALL + Duration::from_secs(size / SLOWEST)
}

/// What the API says of a change.
#[derive(Debug, Deserialize)]
struct Changed {}

impl Client {
    /// One page of what is in a folder of a workspace, after the name `after`; the empty path is the
    /// workspace itself.
    ///
    /// # Errors
    /// As every call; `no-such-file`, `outside-workspace`.
    pub async fn files_page(
        &self,
        name: &str,
        path: &str,
        after: Option<&str>,
    ) -> Result<Page<FileEntry>, ClientError> {
        let mut pairs = vec![("path", path.to_owned()), ("limit", PAGE.to_string())];
        pairs.extend(after.map(|after| ("after", after.to_owned())));
        self.json(Ask::get(workload_path(name, "/files/list")).with(pairs))
            .await
    }

    /// What is at a path of a workspace.
    ///
    /// # Errors
    /// As every call; `no-such-file`, `outside-workspace`.
    pub async fn stat_file(
        &self,
        name: &str,
        path: &str,
        links: Links,
    ) -> Result<FileEntry, ClientError> {
        self.json(stat(name, path, links)).await
    }

    /// Makes a folder in a workspace, and those above it that are missing; fine when it is there.
    ///
    /// # Errors
    /// As every call; `outside-workspace`, `not-a-folder`.
    pub async fn make_folder(&self, name: &str, path: &str) -> Result<(), ClientError> {
        let ask = Ask::post(workload_path(name, "/files/folders"), json!({}));
        let Changed {} = self.json(ask.with(vec![("path", path.to_owned())])).await?;
        Ok(())
    }

    /// Gives something in a workspace another path.
    ///
    /// # Errors
    /// As every call; `no-such-file`, `file-in-the-way`, `outside-workspace`.
    pub async fn move_file(
        &self,
        name: &str,
        from: &str,
        to: &str,
        existing: Taken,
    ) -> Result<(), ClientError> {
        let ask = Ask::post(workload_path(name, "/files/move"), json!({}));
        let mut pairs = vec![("from", from.to_owned()), ("to", to.to_owned())];
        if existing == Taken::Replace {
            pairs.push(("replace", "true".to_owned()));
        }
        let Changed {} = self.json(ask.with(pairs)).await?;
        Ok(())
    }

    /// Removes something from a workspace; of a link only the link.
    ///
    /// # Errors
    /// As every call; `no-such-file`, `folder-not-empty`, `outside-workspace`.
    pub async fn remove_file(
        &self,
        name: &str,
        path: &str,
        depth: Depth,
    ) -> Result<(), ClientError> {
        let ask = Ask::delete(workload_path(name, "/files"));
        let mut pairs = vec![("path", path.to_owned())];
        if depth == Depth::All {
            pairs.push(("recursive", "true".to_owned()));
        }
        let Changed {} = self.json(ask.with(pairs)).await?;
        Ok(())
    }

    /// Reads a file of a workspace; a link that stays in it is followed.
    #[must_use]
    pub fn read_file(&self, name: &str, path: &str) -> Download {
        Download::new(self.clone(), name, path)
    }

    /// Puts a local file into a workspace, in the place of what is there. What of it is sent is what it has
    /// now: of one that grows, no more.
    ///
    /// # Errors
    /// [`FileError::Local`] where it cannot be looked at.
    pub fn write_file(
        &self,
        name: &str,
        path: &str,
        file: std::fs::File,
    ) -> Result<Upload, FileError> {
        Upload::new(self.clone(), name, path, file)
    }

    /// What is there with its SHA-256, of a file of about this size.
    async fn digest(&self, name: &str, path: &str, size: u64) -> Result<FileEntry, ClientError> {
        let ask = stat(name, path, Links::Follow).with(vec![("sha256", "true".to_owned())]);
        let request = self.request(&ask).timeout(patience_for(size));
        self.read_json(&ask, request).await
    }

    /// Sends a request once, and reads the answer.
    async fn read_json<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        request: reqwest::RequestBuilder,
    ) -> Result<T, ClientError> {
        let response = self.checked(request).await?;
        let body = response
            .bytes()
            .await
            .map_err(|error| self.network(error))?;
        serde_json::from_slice(&body).map_err(|error| self.foreign(ask.path(), error.to_string()))
    }
}

fn stat(name: &str, path: &str, links: Links) -> Ask {
    let mut pairs = vec![("path", path.to_owned())];
    if links == Links::Follow {
        pairs.push(("follow", "true".to_owned()));
    }
    Ask::get(workload_path(name, "/files/stat")).with(pairs)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
