//! What a guest says: lines for its plugin's log, capped per call.
//!
//! stdout, stderr and the `log` import end here. The end of stderr is kept for the call's error,
//! because that is where a panic message goes.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fleet_model::Name;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// What one call may say; the rest is dropped.
const MAX_BYTES: usize = 64 * 1024;
/// The longest line; a longer one is cut into several.
const MAX_LINE: usize = 4 * 1024;
/// How much of the end of stderr is kept.
const TAIL: usize = 4 * 1024;

/// Where the lines of one call go.
#[derive(Debug, Clone)]
pub(crate) struct Output(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    plugin: Name,
    left: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    tail: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

impl Output {
    pub(crate) fn new(plugin: &Name) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            plugin: plugin.clone(),
            left: MAX_BYTES,
            stdout: Vec::new(),
            stderr: Vec::new(),
            tail: Vec::new(),
        })))
    }

    /// A stream of the guest.
    pub(crate) fn stream(&self, channel: Channel) -> GuestStream {
        GuestStream {
            output: self.clone(),
            channel,
        }
    }

    /// A line through the `log` import.
    pub(crate) fn log(&self, level: Level, message: &str) {
        self.with(|lines| lines.line(level, message.as_bytes()));
    }

    /// Writes what was begun and not ended with a line feed.
    pub(crate) fn finish(&self) {
        self.with(|lines| {
            let (out, err) = (
                std::mem::take(&mut lines.stdout),
                std::mem::take(&mut lines.stderr),
            );
            for rest in [out, err] {
                if !rest.is_empty() {
                    lines.line(Level::INFO, &rest);
                }
            }
        });
    }

    /// The end of stderr.
    pub(crate) fn stderr_tail(&self) -> String {
        self.with(|lines| String::from_utf8_lossy(&lines.tail).into_owned())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Lines) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lines {
    fn take(&mut self, channel: Channel, bytes: &[u8]) {
        if channel == Channel::Stderr {
            self.tail.extend_from_slice(bytes);
            let surplus = self.tail.len().saturating_sub(TAIL);
            self.tail.drain(..surplus);
        }
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let pending = match channel {
                Channel::Stdout => &mut self.stdout,
                Channel::Stderr => &mut self.stderr,
            };
            let room = MAX_LINE.saturating_sub(pending.len());
            pending.extend(piece.iter().take(room));
            if piece.len() > room || piece.ends_with(b"\n") {
                let line = std::mem::take(pending);
                self.line(Level::INFO, line.trim_ascii_end());
            }
        }
    }

    fn line(&mut self, level: Level, line: &[u8]) {
        let Some(left) = self.left.checked_sub(line.len().clamp(64, MAX_LINE)) else {
            if self.left > 0 {
                self.left = 0;
                tracing::warn!(target: "plugin", plugin = %self.plugin, "the rest of what this call says is dropped");
            }
            return;
        };
        self.left = left;
        let text = printable(line.get(..MAX_LINE).unwrap_or(line));
        match level {
            Level::TRACE => tracing::trace!(target: "plugin", plugin = %self.plugin, "{text}"),
            Level::DEBUG => tracing::debug!(target: "plugin", plugin = %self.plugin, "{text}"),
            Level::INFO => tracing::info!(target: "plugin", plugin = %self.plugin, "{text}"),
            Level::WARN => tracing::warn!(target: "plugin", plugin = %self.plugin, "{text}"),
            Level::ERROR => tracing::error!(target: "plugin", plugin = %self.plugin, "{text}"),
        }
    }
}

/// Text that can neither end a line of the log nor command a terminal.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// stdout or stderr of one call. Never blocks and never refuses.
#[derive(Debug, Clone)]
pub(crate) struct GuestStream {
    output: Output,
    channel: Channel,
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output.with(|lines| lines.take(self.channel, &bytes));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Output {
        Output::new(&"noisy".parse().unwrap())
    }

    #[test]
    fn the_end_of_stderr_is_kept_and_no_more() {
        let output = output();
        let mut stream = output.stream(Channel::Stderr);
        for _ in 0..1_000 {
            stream.write(Bytes::from(vec![b'x'; 1_000])).unwrap();
        }
        stream.write(Bytes::from_static(b"the end")).unwrap();
        let tail = output.stderr_tail();
        assert_eq!(tail.len(), TAIL);
        assert!(tail.ends_with("xthe end"));
        output.with(|lines| {
            assert_eq!(lines.left, 0, "the cap was reached");
            assert!(lines.stderr.len() <= MAX_LINE);
        });
    }

    #[test]
    fn a_line_cannot_forge_another_line() {
        assert_eq!(
            printable(b"a\nERROR b\x1b[31m"),
            "a\u{fffd}ERROR b\u{fffd}[31m"
        );
    }
}
