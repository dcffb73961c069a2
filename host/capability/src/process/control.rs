//! Asking a shim, from the host's side: one line to its control socket, one line back.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::slot::CONTROL;

/// The longest answer of a shim.
const ANSWER_BYTES: u64 = 64 * 1024;

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Asked<R> {
    Answered(R),
    /// Nobody listens.
    Absent,
    /// Somebody listened and gave no answer.
    Silent,
}

/// Asks the shim that listens in this folder.
pub(crate) async fn ask<R: DeserializeOwned>(
    folder: &Path,
    demand: &(impl Serialize + Sync),
) -> Asked<R> {
    let talk = async {
        let Ok(mut line) = connect(folder).await else {
            return Ok(Asked::Absent);
        };
        say(&mut line, demand).await?;
        let mut answer = Vec::new();
        BufReader::new(line.take(ANSWER_BYTES))
            .read_until(b'\n', &mut answer)
            .await?;
        Ok::<_, io::Error>(Asked::Answered(serde_json::from_slice(&answer)?))
    };
    talk.await.unwrap_or(Asked::Silent)
}

/// Says a demand.
pub(crate) async fn say(line: &mut UnixStream, demand: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(demand)?;
    text.push(b'\n');
    line.write_all(&text).await
}

/// Connects through the open folder: a path may be longer than a socket's may be.
pub(crate) async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder: OwnedFd = rustix::fs::open(folder, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{CONTROL}", folder.as_raw_fd());
    UnixStream::connect(path).await
}
