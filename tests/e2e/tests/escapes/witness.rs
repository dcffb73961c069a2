//! A socket before the engine's that passes everything on and keeps what the host sends.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What stands between host and engine.
pub(crate) struct Witness {
    folder: tempfile::TempDir,
    heard: Heard,
}

type Heard = Arc<Mutex<Vec<u8>>>;

impl Witness {
    /// One before this socket.
    pub(crate) fn new(engine: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let heard = Heard::default();
        let witness = Self { folder, heard };
        let listener = UnixListener::bind(witness.socket()).unwrap();
        let (engine, heard) = (engine.to_path_buf(), witness.heard.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(upstream) = UnixStream::connect(&engine) else {
                    return;
                };
                let (from, to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                let heard = heard.clone();
                std::thread::spawn(move || pass(from, to, Some(&heard)));
                std::thread::spawn(move || pass(upstream, client, None));
            }
        });
        witness
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("witness.sock")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// What the host has sent since this was asked last: the first lines of its requests.
    pub(crate) fn heard(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.heard.lock().unwrap());
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines = text.lines().filter(|line| line.ends_with(" HTTP/1.1"));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        assert!(!lines.is_empty() || text.is_empty(), "no request: {text:?}");
        lines
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, heard: Option<&Heard>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if let Some(heard) = heard {
            heard.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
