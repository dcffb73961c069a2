//! What a guest says: lines for its plugin's log, capped per call.
//!
//! stdout, stderr and the `log` import end here. A line is looked at when it is whole, so that the
//! value of a secret is found in it however it was written; only then is it cut. The end of stderr
//! is kept for the call's error, because that is where a panic message goes.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fleet_capability::Redactor;
use fleet_model::Name;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// What one call may say; the rest is dropped.
const MAX_BYTES: usize = 64 * 1024;
/// The longest line that is kept whole until its end. Of a longer one nothing is shown: where it
/// would have to be cut, half a value might stand.
const MAX_WHOLE: usize = 64 * 1024;
/// The longest line that is written; a longer one is cut into several.
const MAX_LINE: usize = 4 * 1024;
/// How much of the end of stderr is kept.
const TAIL: usize = 4 * 1024;

/// Where the lines of one call go.
#[derive(Debug, Clone)]
pub(crate) struct Output(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    plugin: Name,
    redactor: Redactor,
    left: usize,
    stdout: Begun,
    stderr: Begun,
    tail: String,
}

/// A line that has no end yet.
#[derive(Debug, Default)]
struct Begun {
    bytes: Vec<u8>,
    is_too_long: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

impl Output {
    pub(crate) fn new(plugin: &Name, redactor: &Redactor) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            plugin: plugin.clone(),
            redactor: redactor.clone(),
            left: MAX_BYTES,
            stdout: Begun::default(),
            stderr: Begun::default(),
            tail: String::new(),
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
        self.with(|lines| {
            let text = lines.redactor.text(message).into_owned();
            lines.write(level, &text);
        });
    }

    /// Writes what was begun and not ended with a line feed.
    pub(crate) fn finish(&self) {
        self.with(|lines| {
            for channel in [Channel::Stdout, Channel::Stderr] {
                let begun = lines.begun(channel);
                if begun.is_too_long || !begun.bytes.is_empty() {
                    lines.end_line(channel);
                }
            }
        });
    }

    /// The end of what was written to stderr in whole lines, [`finish`](Self::finish)ed ones
    /// included, without the values of secrets.
    pub(crate) fn stderr_tail(&self) -> String {
        self.with(|lines| lines.tail.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Lines) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Begun {
    fn push(&mut self, bytes: &[u8]) {
        if self.bytes.len().saturating_add(bytes.len()) > MAX_WHOLE {
            self.is_too_long = true;
            self.bytes = Vec::new();
        }
        if !self.is_too_long {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

impl Lines {
    fn begun(&mut self, channel: Channel) -> &mut Begun {
        match channel {
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
        }
    }

    fn take(&mut self, channel: Channel, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.begun(channel).push(piece);
            if piece.ends_with(b"\n") {
                self.end_line(channel);
            }
        }
    }

    fn end_line(&mut self, channel: Channel) {
        let Begun { bytes, is_too_long } = std::mem::take(self.begun(channel));
        let line = if is_too_long {
            format!("(a line of more than {MAX_WHOLE} bytes is not shown)")
        } else {
            let line = String::from_utf8_lossy(bytes.trim_ascii_end());
            self.redactor.text(&line).into_owned()
        };
        if channel == Channel::Stderr {
            self.remember(&line);
        }
        let mut rest = line.as_str();
        loop {
            let (piece, more) = rest.split_at(rest.floor_char_boundary(MAX_LINE));
            self.write(Level::INFO, piece);
            rest = more;
            if rest.is_empty() {
                return;
            }
        }
    }

    fn remember(&mut self, line: &str) {
        self.tail.push_str(line);
        self.tail.push('\n');
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..self.tail.ceil_char_boundary(surplus));
    }

    /// Writes a line that nothing is left to be taken out of.
    fn write(&mut self, level: Level, line: &str) {
        let line = line
            .get(..line.floor_char_boundary(MAX_LINE))
            .unwrap_or_default();
        let Some(left) = self.left.checked_sub(line.len().max(64)) else {
            if self.left > 0 {
                self.left = 0;
                tracing::warn!(target: "plugin", plugin = %self.plugin, "the rest of what this call says is dropped");
            }
            return;
        };
        self.left = left;
        let text = printable(line);
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
fn printable(text: &str) -> String {
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
    use std::collections::BTreeMap;
    use std::io::Write;

    use fleet_capability::SecretValue;

    use super::*;

    fn output() -> Output {
        let redactor = Redactor::default();
        let value = SecretValue::new(b"hunter22".to_vec());
        redactor.know(&BTreeMap::from([("a".parse().unwrap(), vec![value])]));
        Output::new(&"noisy".parse().unwrap(), &redactor)
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is in the host's log after this.
    fn logged(work: impl FnOnce()) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_end_of_stderr_is_kept_and_no_more() {
        let output = output();
        let mut stream = output.stream(Channel::Stderr);
        for _ in 0..1_000 {
            stream.write(Bytes::from(vec![b'x'; 999])).unwrap();
            stream.write(Bytes::from_static(b"\n")).unwrap();
        }
        stream.write(Bytes::from_static(b"the end")).unwrap();
        output.finish();
        let tail = output.stderr_tail();
        assert_eq!(tail.len(), TAIL);
        assert!(tail.ends_with("x\nthe end\n"));
        output.with(|lines| assert_eq!(lines.left, 0, "the cap was reached"));
    }

    #[test]
    fn a_value_is_found_however_it_is_written() {
        let output = output();
        let log = logged(|| {
            for channel in [Channel::Stdout, Channel::Stderr] {
                let mut stream = output.stream(channel);
                stream
                    .write(Bytes::from_static(b"in one: hunter22\nin two: hun"))
                    .unwrap();
                stream.write(Bytes::from_static(b"ter22\n")).unwrap();
                // Over the place where a long line is cut.
                let long = "-".repeat(MAX_LINE - 4);
                stream
                    .write(Bytes::from(format!("{long}hunter22 after\n")))
                    .unwrap();
                stream
                    .write(Bytes::from_static(b"without an end: hunter22"))
                    .unwrap();
            }
            output.log(Level::WARN, "imported: hunter22");
            output.finish();
        });
        assert!(!log.contains("hunter") && !log.contains("ter22"), "{log}");
        assert_eq!(log.matches("***").count(), 9, "{log}");
        for said in ["in two: ***", "--***", "an end: ***", "imported: ***"] {
            assert!(log.contains(said), "{said} is not in {log}");
        }
        let tail = output.stderr_tail();
        assert!(
            !tail.contains("hunter") && tail.ends_with("an end: ***\n"),
            "{tail}"
        );
    }

    #[test]
    fn of_a_line_without_end_nothing_is_shown_and_nothing_kept() {
        let output = output();
        let log = logged(|| {
            let mut stream = output.stream(Channel::Stderr);
            for _ in 0..100 {
                stream.write(Bytes::from("hunter2".repeat(1_000))).unwrap();
                output.with(|lines| assert!(lines.stderr.bytes.len() <= MAX_WHOLE));
            }
            stream.write(Bytes::from_static(b"\nshort\n")).unwrap();
        });
        assert!(!log.contains("hunter"), "{log}");
        assert!(
            log.contains("is not shown") && log.contains("short"),
            "{log}"
        );
    }

    #[test]
    fn a_line_cannot_forge_another_line() {
        assert_eq!(
            printable("a\nERROR b\x1b[31m"),
            "a\u{fffd}ERROR b\u{fffd}[31m"
        );
    }
}
