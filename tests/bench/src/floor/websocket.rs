//! A bare WebSocket server, and those who read from it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use futures::StreamExt as _;
use tokio::net::TcpStream;

use crate::Result;
use crate::process::Owned;

/// The program: `src/bin/floor_websocket.rs`.
pub(crate) const PROGRAM: &str = "fleet-bench-floor-websocket";

/// A server that answers every connection with the same bytes.
pub(crate) struct Server {
    process: Owned,
    program: PathBuf,
    address: String,
}

impl Server {
    /// One that starts a command for each connection and sends what that prints.
    pub(crate) fn of_command(program: PathBuf, words: &[&str]) -> Result<Self> {
        Self::start(program, |command| command.arg("serve").args(words))
    }

    /// One that sends a file.
    pub(crate) fn of_file(program: PathBuf, file: &Path) -> Result<Self> {
        Self::start(program, |command| command.arg("serve-file").arg(file))
    }

    fn start(program: PathBuf, tell: impl FnOnce(&mut Command) -> &mut Command) -> Result<Self> {
        let mut command = Command::new(&program);
        tell(&mut command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut process = Owned::spawn(&mut command)?;
        let mut said = String::new();
        if let Some(stdout) = process.child().stdout.take() {
            BufReader::new(stdout).read_line(&mut said)?;
        }
        let address = said.trim().to_owned();
        if address.is_empty() {
            return Err("the bare WebSocket server did not say where it listens".into());
        }
        Ok(Self {
            process,
            program,
            address,
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The command of a process that reads all there is and writes it to its stdout.
    pub(crate) fn reader(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["read", &self.address]);
        command
    }

    /// Reads all there is, within this process; how many bytes came.
    pub(crate) async fn read(address: String) -> Result<u64> {
        let stream = TcpStream::connect(&address).await?;
        let (mut socket, _) =
            tokio_tungstenite::client_async(format!("ws://{address}/"), stream).await?;
        let mut bytes = 0;
        while let Some(message) = socket.next().await {
            let message = message?;
            if message.is_close() {
                break;
            }
            bytes += u64::try_from(message.len())?;
        }
        Ok(bytes)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}
