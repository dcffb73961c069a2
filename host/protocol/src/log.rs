//! Log lines on a bulk stream: one frame each, binary, so that any bytes survive.
//!
//! A frame is `kind u8 | time_us u64 | cursor length u16 | cursor | bytes`, integers big-endian.
//! `kind` is 1 stdout, 2 stderr, 3 a remark of the host; + 16 when the line goes on in the next
//! frame of its kind; 255 ends the log with an error as JSON. A log that just ends closes the
//! stream.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fleet_model::Error;

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// The program's stdout.
    Stdout,
    /// The program's stderr.
    Stderr,
    /// The host: lines that are missing, say.
    Host,
}

impl LogStream {
    /// The word as people and the API write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Host => "host",
        }
    }
}

/// One line, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it comes from.
    pub stream: LogStream,
    /// When it was printed, in Unix microseconds; 0 = not known.
    pub time_us: u64,
    /// Its bytes, without the line feed where it is complete.
    pub bytes: Bytes,
    /// Whether the line ends here.
    pub complete: bool,
    /// Reading again with this cursor goes on after this line; empty where that is not possible.
    pub cursor: String,
}

const PART: u8 = 16;
const FAILED: u8 = 255;

/// Writes one line as a frame.
#[must_use]
pub fn encode(line: &LogLine) -> Bytes {
    let cursor = line.cursor.as_bytes();
    let length = u16::try_from(cursor.len()).unwrap_or(0);
    let mut frame = BytesMut::with_capacity(11 + cursor.len() + line.bytes.len());
    let kind = match line.stream {
        LogStream::Stdout => 1,
        LogStream::Stderr => 2,
        LogStream::Host => 3,
    };
    frame.put_u8(if line.complete { kind } else { kind + PART });
    frame.put_u64(line.time_us);
    frame.put_u16(length);
    if length > 0 {
        frame.put_slice(cursor);
    }
    frame.put_slice(&line.bytes);
    frame.freeze()
}

/// Writes the frame that ends a log with an error.
#[must_use]
pub fn encode_error(error: &Error) -> Bytes {
    let mut frame = vec![FAILED];
    frame.extend(serde_json::to_vec(error).unwrap_or_default());
    frame.into()
}

/// Whether a frame ends the log with an error.
#[must_use]
pub fn is_end(frame: &[u8]) -> bool {
    frame.first() == Some(&FAILED)
}

/// Reads one frame.
///
/// # Errors
/// The error the node ended the log with, or `internal` for a frame that is none.
pub fn decode(mut frame: Bytes) -> Result<LogLine, Error> {
    let malformed =
        || Error::internal("log-frame", "the node sent a log frame that cannot be read");
    let kind = frame.try_get_u8().map_err(|_| malformed())?;
    if kind == FAILED {
        return Err(serde_json::from_slice(&frame).unwrap_or_else(|_| malformed()));
    }
    let stream = match kind & !PART {
        1 => LogStream::Stdout,
        2 => LogStream::Stderr,
        3 => LogStream::Host,
        _ => return Err(malformed()),
    };
    let time_us = frame.try_get_u64().map_err(|_| malformed())?;
    let length = usize::from(frame.try_get_u16().map_err(|_| malformed())?);
    if frame.remaining() < length {
        return Err(malformed());
    }
    let cursor = String::from_utf8(frame.split_to(length).to_vec()).map_err(|_| malformed())?;
    Ok(LogLine {
        stream,
        time_us,
        bytes: frame,
        complete: kind & PART == 0,
        cursor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_reads_back() {
        for stream in [LogStream::Stdout, LogStream::Stderr, LogStream::Host] {
            for complete in [true, false] {
                let line = LogLine {
                    stream,
                    time_us: u64::MAX,
                    bytes: Bytes::from_static(b"\0\xff\n any"),
                    complete,
                    cursor: "3.99".into(),
                };
                assert_eq!(decode(encode(&line)).unwrap(), line);
            }
        }
    }

    #[test]
    fn errors_travel_and_cut_frames_are_errors() {
        let error = Error::not_found("log-gone", "gone");
        assert_eq!(decode(encode_error(&error)).unwrap_err(), error);
        let whole = encode(&LogLine {
            stream: LogStream::Stdout,
            time_us: 1,
            bytes: Bytes::new(),
            complete: true,
            cursor: "12.34".into(),
        });
        for cut in 0..whole.len() {
            assert_eq!(decode(whole.slice(..cut)).unwrap_err().code, "log-frame");
        }
    }
}
