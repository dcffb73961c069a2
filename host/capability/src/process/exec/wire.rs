//! What host and shim say to each other on the control socket of a program beside a process.
//!
//! First the host says a line of JSON, a [`Demand`]. All but `attach` are answered with a line, a
//! [`Reply`], and the connection ends. After `attach` both sides send frames until one closes: `kind u8`,
//! `length u32` of what follows, and that. Integers are big-endian.
//!
//! | kind               | from | then                                                             |
//! |--------------------|------|------------------------------------------------------------------|
//! | 1 begin            | shim | an intake; the first frame                                       |
//! | 2 stdout, 3 stderr | shim | `offset u64`: the place after these bytes; the bytes             |
//! | 4 gap              | shim | `offset u64`: where output goes on                               |
//! | 5 intake           | shim | `taken u64`, `allowed u64`, `state u8`: 0 open, 1 ended, 2 closed |
//! | 6 ended            | shim | nothing; it has ended and all of its output was sent             |
//! | 7 failed           | shim | JSON [`Error`]; the last frame                                   |
//! | 17 input           | host | `offset u64`: the place before these bytes; the bytes            |
//! | 18 input-end       | host | nothing                                                          |
//! | 19 seen            | host | `offset u64`: output up to here needs no keeping                 |
//! | 20 window          | host | `offset u64`: output up to here may be sent                      |
//!
//! Offsets count the bytes of stdout and stderr together, and those of the input, from the program's
//! start. Neither side sends more than the other has said it takes (`window`, `allowed`), so both
//! always read, and nothing said waits behind bytes that nobody wants. Input below `taken` is passed
//! over: the shim has it in hand, where it cannot get lost while the shim lives.

use std::io;

use bytes::{Buf, Bytes};
use fleet_model::Error;
use fleet_model::exec::TerminalSize;
use serde::{Deserialize, Serialize};

use super::limits::CHUNK_BYTES;
use crate::source::Stream;

/// The length of `kind` and `length`.
pub(crate) const HEAD_BYTES: usize = 5;

/// The most that may follow a head.
const BODY_BYTES: usize = CHUNK_BYTES + 64;

/// Host to shim, in the first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Demand {
    /// Make this connection the one that reads and writes, from after this offset of the output.
    Attach { after: u64 },
    /// The terminal has another size.
    Resize { size: TerminalSize },
    /// Signal its process group, or its terminal's foreground; once per call, if there is one.
    Signal { call: String, name: String },
    /// End all of it, and yourself.
    End,
}

/// Shim to host, in one line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub(crate) enum Reply {
    Done,
    Refused { error: Error },
}

/// How it stands with the program's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intake {
    /// What the shim has in hand or has passed on.
    pub(crate) taken: u64,
    /// Up to where it takes more.
    pub(crate) allowed: u64,
    pub(crate) state: InputState,
}

/// Whether anything more is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputState {
    Open,
    /// It was said that nothing more comes.
    Ended,
    /// Nobody will read any more.
    Closed,
}

/// Shim to host.
#[derive(Debug, PartialEq)]
pub(crate) enum Outward {
    Begin(Intake),
    Output(Stream, u64, Bytes),
    Gap(u64),
    Intake(Intake),
    Ended,
    Failed(Error),
}

/// Host to shim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inward<'a> {
    Input(u64, &'a [u8]),
    InputEnd,
    Seen(u64),
    Window(u64),
}

/// Kind and length of the frame that begins here; `None` while its head is not there whole.
pub(crate) fn head(bytes: &[u8]) -> io::Result<Option<(u8, usize)>> {
    let Some((head, _)) = bytes.split_at_checked(HEAD_BYTES) else {
        return Ok(None);
    };
    let mut head = head;
    let (kind, length) = (head.get_u8(), head.get_u32() as usize);
    if length > BODY_BYTES {
        return Err(malformed());
    }
    Ok(Some((kind, length)))
}

/// Puts a frame of these parts at the end of `out`.
fn frame(kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(kind);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Begins a frame of output: `count` bytes follow, after which its offset is `end`.
pub(crate) fn output_head(stream: Stream, end: u64, count: usize, out: &mut Vec<u8>) {
    let kind = if stream == Stream::Stderr { 3 } else { 2 };
    let length = u32::try_from(count + 8).unwrap_or(u32::MAX);
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&end.to_be_bytes());
}

impl Intake {
    fn encode(self) -> [u8; 17] {
        let mut bytes = [0; 17];
        let (taken, rest) = bytes.split_at_mut(8);
        taken.copy_from_slice(&self.taken.to_be_bytes());
        let (allowed, state) = rest.split_at_mut(8);
        allowed.copy_from_slice(&self.allowed.to_be_bytes());
        state.fill(match self.state {
            InputState::Open => 0,
            InputState::Ended => 1,
            InputState::Closed => 2,
        });
        bytes
    }

    fn decode(mut body: Bytes) -> io::Result<Self> {
        Ok(Self {
            taken: offset(&mut body)?,
            allowed: offset(&mut body)?,
            state: match body.try_get_u8() {
                Ok(0) => InputState::Open,
                Ok(1) => InputState::Ended,
                Ok(2) => InputState::Closed,
                _ => return Err(malformed()),
            },
        })
    }
}

impl Outward {
    /// Puts it at the end of `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Begin(intake) => frame(1, &[&intake.encode()], out),
            Self::Output(stream, end, bytes) => {
                output_head(*stream, *end, bytes.len(), out);
                out.extend_from_slice(bytes);
            }
            Self::Gap(offset) => frame(4, &[&offset.to_be_bytes()], out),
            Self::Intake(intake) => frame(5, &[&intake.encode()], out),
            Self::Ended => frame(6, &[], out),
            Self::Failed(error) => {
                let text = serde_json::to_vec(error).unwrap_or_default();
                frame(7, &[&text], out);
            }
        }
    }

    /// Of a frame's kind and what follows its head.
    pub(crate) fn decode(kind: u8, mut body: Bytes) -> io::Result<Self> {
        Ok(match kind {
            1 => Self::Begin(Intake::decode(body)?),
            2 => Self::Output(Stream::Stdout, offset(&mut body)?, body),
            3 => Self::Output(Stream::Stderr, offset(&mut body)?, body),
            4 => Self::Gap(offset(&mut body)?),
            5 => Self::Intake(Intake::decode(body)?),
            6 => Self::Ended,
            7 => Self::Failed(serde_json::from_slice(&body)?),
            _ => return Err(malformed()),
        })
    }
}

impl<'a> Inward<'a> {
    /// Puts it at the end of `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Input(offset, bytes) => frame(17, &[&offset.to_be_bytes(), bytes], out),
            Self::InputEnd => frame(18, &[], out),
            Self::Seen(offset) => frame(19, &[&offset.to_be_bytes()], out),
            Self::Window(offset) => frame(20, &[&offset.to_be_bytes()], out),
        }
    }

    /// Of a frame's kind and what follows its head.
    pub(crate) fn decode(kind: u8, mut body: &'a [u8]) -> io::Result<Self> {
        let offset = |body: &mut &[u8]| body.try_get_u64().map_err(|_| malformed());
        Ok(match kind {
            17 => Self::Input(offset(&mut body)?, body),
            18 => Self::InputEnd,
            19 => Self::Seen(offset(&mut body)?),
            20 => Self::Window(offset(&mut body)?),
            _ => return Err(malformed()),
        })
    }
}

fn offset(body: &mut Bytes) -> io::Result<u64> {
    body.try_get_u64().map_err(|_| malformed())
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "not a frame of an attached program",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8]) -> (u8, Bytes) {
        let (kind, length) = head(bytes).unwrap().unwrap();
        assert_eq!(bytes.len(), HEAD_BYTES + length);
        (kind, Bytes::copy_from_slice(&bytes[HEAD_BYTES..]))
    }

    #[test]
    fn frames_read_back_and_cut_ones_are_errors() {
        let intake = Intake {
            taken: 1,
            allowed: u64::MAX,
            state: InputState::Closed,
        };
        let bytes = Bytes::from_static(b"\0\xff\n");
        for frame in [
            Outward::Begin(intake),
            Outward::Output(Stream::Stdout, 3, bytes.clone()),
            Outward::Output(Stream::Stderr, 4, Bytes::new()),
            Outward::Gap(5),
            Outward::Intake(intake),
            Outward::Ended,
            Outward::Failed(Error::conflict("attached-elsewhere", "elsewhere")),
        ] {
            let mut out = Vec::new();
            frame.encode(&mut out);
            let (kind, body) = split(&out);
            assert_eq!(Outward::decode(kind, body).unwrap(), frame);
        }
        for frame in [
            Inward::Input(7, &bytes),
            Inward::InputEnd,
            Inward::Seen(8),
            Inward::Window(9),
        ] {
            let mut out = Vec::new();
            frame.encode(&mut out);
            let (kind, body) = split(&out);
            assert_eq!(Inward::decode(kind, &body).unwrap(), frame);
        }
        for (kind, body) in [
            (1, &b"\0"[..]),
            (2, &b"\0"[..]),
            (5, &[9; 17][..]),
            (7, &b"{"[..]),
            (99, &b""[..]),
        ] {
            assert!(Outward::decode(kind, Bytes::from_static(body)).is_err());
            assert!(Inward::decode(kind, body).is_err());
        }
        assert_eq!(head(&[2, 0, 0, 0]).unwrap(), None);
        assert!(head(&[2, 0, 9, 0, 0]).is_err(), "longer than any frame");
    }

    #[test]
    fn demands_are_lines_that_anybody_can_write() {
        let size = TerminalSize {
            columns: 80,
            rows: 24,
        };
        for (line, demand) in [
            (r#"{"attach":{"after":5}}"#, Demand::Attach { after: 5 }),
            (
                r#"{"resize":{"size":{"columns":80,"rows":24}}}"#,
                Demand::Resize { size },
            ),
            (r#""end""#, Demand::End),
        ] {
            assert_eq!(serde_json::from_str::<Demand>(line).unwrap(), demand);
            assert_eq!(serde_json::to_string(&demand).unwrap(), line);
        }
    }
}
