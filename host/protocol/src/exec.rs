//! What is said while somebody is attached to a program beside a workload, in one frame each. The same
//! frames run from node to controller and, as binary WebSocket messages, from controller to client.
//!
//! A frame is `kind u8` and what follows, integers big-endian.
//!
//! | kind | from | then |
//! |------|------|------|
//! | 1 attached | node | JSON [`Attached`]: where output goes on and how much input was taken |
//! | 2 stdout, 3 stderr | node | `offset u64`: the place after these bytes; the bytes |
//! | 4 gap | node | `from u64`, `to u64`: output that is not kept any more |
//! | 5 taken | node | `offset u64`: input up to here cannot get lost any more |
//! | 6 ended | node | JSON [`ExecState`]: the last frame |
//! | 7 failed | node | JSON [`Error`]: the last frame, and the program may go on |
//! | 17 input | client | `offset u64`: the place before these bytes; the bytes |
//! | 18 input-end | client | nothing |
//! | 19 seen | client | `offset u64`: output up to here needs no keeping |
//! | 20 resize | client | `columns u16`, `rows u16` |
//! | 21 signal | client | its name, `INT` |
//!
//! Offsets count the bytes of stdout and stderr together, and those of the input, from the program's
//! start. Input whose offset was taken before is passed over, so a client that comes back sends
//! again from `taken` on, and nothing is read twice.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fleet_model::Error;
use fleet_model::exec::{ExecState, TerminalSize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How much output is kept for whoever comes back, in bytes, and how far a client may be behind
/// before the program waits for it.
pub const KEPT_BYTES: u64 = 4 * 1024 * 1024;

/// How much input a client may have sent beyond what was taken, in bytes.
pub const INPUT_AHEAD_BYTES: u64 = 256 * 1024;

/// The most bytes of output or input in one frame.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// How a program is known by the key its client gave it: the first 8 bytes of the key's SHA-256,
/// big-endian. The other half of an [`ExecId`](fleet_model::exec::ExecId).
#[must_use]
pub fn key(call: &str) -> u64 {
    Sha256::digest(call)
        .iter()
        .take(8)
        .fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// The first frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Output goes on after this offset.
    pub after: u64,
    /// Input up to here was taken.
    pub taken: u64,
    /// Whether it has a terminal.
    pub terminal: bool,
}

/// What the node says.
#[derive(Debug, Clone, PartialEq)]
pub enum Outward {
    /// First.
    Attached(Attached),
    /// Bytes of stdout, and the place after them.
    Stdout(u64, Bytes),
    /// Bytes of stderr, and the place after them.
    Stderr(u64, Bytes),
    /// Output from here to there is not kept any more.
    Gap(u64, u64),
    /// Input up to here cannot get lost any more.
    Taken(u64),
    /// Last: it has ended and its output was sent.
    Ended(ExecState),
    /// Last: it cannot be told.
    Failed(Error),
}

/// What the client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inward {
    /// Bytes for its input, and the place before them.
    Input(u64, Bytes),
    /// Its input ends.
    InputEnd,
    /// Output up to here need not be kept.
    Seen(u64),
    /// The terminal has another size.
    Resize(TerminalSize),
    /// A signal for it, by its name without `SIG`.
    Signal(String),
}

fn malformed() -> Error {
    Error::invalid(
        "exec-frame",
        "a frame of an attached program cannot be read: see docs/exec.md for their shapes",
    )
}

fn with_json(kind: u8, value: &impl Serialize) -> Bytes {
    let mut frame = vec![kind];
    frame.extend(serde_json::to_vec(value).unwrap_or_default());
    frame.into()
}

fn with_bytes(kind: u8, offset: u64, bytes: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(9 + bytes.len());
    frame.put_u8(kind);
    frame.put_u64(offset);
    frame.put_slice(bytes);
    frame.freeze()
}

impl Outward {
    /// Whether this frame is the last one of an attachment.
    #[must_use]
    pub fn is_last(frame: &[u8]) -> bool {
        matches!(frame.first(), Some(6 | 7))
    }

    /// As a frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Attached(attached) => with_json(1, attached),
            Self::Stdout(offset, bytes) => with_bytes(2, *offset, bytes),
            Self::Stderr(offset, bytes) => with_bytes(3, *offset, bytes),
            Self::Gap(from, to) => with_bytes(4, *from, &to.to_be_bytes()),
            Self::Taken(offset) => with_bytes(5, *offset, &[]),
            Self::Ended(state) => with_json(6, state),
            Self::Failed(error) => with_json(7, error),
        }
    }

    /// Of a frame.
    ///
    /// # Errors
    /// `invalid` (`exec-frame`).
    pub fn decode(mut frame: Bytes) -> Result<Self, Error> {
        let kind = frame.try_get_u8().map_err(|_| malformed())?;
        let json = |_| malformed();
        Ok(match kind {
            1 => Self::Attached(serde_json::from_slice(&frame).map_err(json)?),
            2 => Self::Stdout(offset(&mut frame)?, frame),
            3 => Self::Stderr(offset(&mut frame)?, frame),
            4 => Self::Gap(offset(&mut frame)?, offset(&mut frame)?),
            5 => Self::Taken(offset(&mut frame)?),
            6 => Self::Ended(serde_json::from_slice(&frame).map_err(json)?),
            7 => Self::Failed(serde_json::from_slice(&frame).map_err(json)?),
            _ => return Err(malformed()),
        })
    }
}

impl Inward {
    /// As a frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Input(offset, bytes) => with_bytes(17, *offset, bytes),
            Self::InputEnd => Bytes::from_static(&[18]),
            Self::Seen(offset) => with_bytes(19, *offset, &[]),
            Self::Resize(TerminalSize { columns, rows }) => {
                let mut frame = BytesMut::with_capacity(5);
                frame.put_u8(20);
                frame.put_u16(*columns);
                frame.put_u16(*rows);
                frame.freeze()
            }
            Self::Signal(name) => {
                let mut frame = vec![21];
                frame.extend_from_slice(name.as_bytes());
                frame.into()
            }
        }
    }

    /// Of a frame.
    ///
    /// # Errors
    /// `invalid` (`exec-frame`).
    pub fn decode(mut frame: Bytes) -> Result<Self, Error> {
        let kind = frame.try_get_u8().map_err(|_| malformed())?;
        Ok(match kind {
            17 => Self::Input(offset(&mut frame)?, frame),
            18 => Self::InputEnd,
            19 => Self::Seen(offset(&mut frame)?),
            20 => Self::Resize(TerminalSize {
                columns: frame.try_get_u16().map_err(|_| malformed())?,
                rows: frame.try_get_u16().map_err(|_| malformed())?,
            }),
            21 => Self::Signal(String::from_utf8(frame.into()).map_err(|_| malformed())?),
            _ => return Err(malformed()),
        })
    }
}

fn offset(frame: &mut Bytes) -> Result<u64, Error> {
    frame.try_get_u64().map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_manual_is_what_is_said() {
        let manual = include_str!("../../../docs/exec.md");
        let hi = Bytes::from_static(b"hi\n");
        let attached = Attached {
            after: 0,
            taken: 0,
            terminal: false,
        };
        let ended = serde_json::json!({"state": "exited", "code": 0});
        let ended = serde_json::from_value(ended).unwrap();
        let said = [
            Outward::Attached(attached).encode(),
            Inward::Input(0, hi.clone()).encode(),
            Outward::Taken(3).encode(),
            Outward::Stdout(3, hi).encode(),
            Inward::InputEnd.encode(),
            Outward::Ended(ended).encode(),
            Inward::Seen(3).encode(),
        ];
        let lines = manual
            .lines()
            .filter(|line| line.starts_with("host    ") || line.starts_with("client  "));
        let example: Vec<Vec<u8>> = lines
            .map(|line| {
                // Columns after the bytes are for people.
                let mut words = line.split_whitespace().skip(1).filter(|word| *word != "|");
                let mut frame = Vec::new();
                for word in words.by_ref() {
                    match u8::from_str_radix(word, 16) {
                        Ok(byte) if word.len() == 2 => frame.push(byte),
                        _ if word.starts_with('{') => frame.extend(word.bytes()),
                        _ => break,
                    }
                }
                frame
            })
            .collect();
        assert_eq!(example, said);
    }

    #[test]
    fn a_key_is_the_beginning_of_its_digest() {
        // printf k-1 | sha256sum | head -c 16
        assert_eq!(key("k-1"), 0x7c35_c5a1_785d_2070);
        assert_ne!(key("k-1"), key("k-2"));
    }

    #[test]
    fn frames_read_back_and_cut_ones_are_errors() {
        let bytes = Bytes::from_static(b"\0\xff\n");
        let outward = [
            Outward::Attached(Attached {
                after: 1,
                taken: 2,
                terminal: true,
            }),
            Outward::Stdout(3, bytes.clone()),
            Outward::Stderr(u64::MAX, bytes.clone()),
            Outward::Gap(1, 9),
            Outward::Taken(7),
            Outward::Ended(ExecState::Running),
            Outward::Failed(Error::not_found("gone", "gone")),
        ];
        for frame in outward {
            let is_last = matches!(frame, Outward::Ended(_) | Outward::Failed(_));
            assert_eq!(Outward::is_last(&frame.encode()), is_last, "{frame:?}");
            assert_eq!(Outward::decode(frame.encode()).unwrap(), frame);
        }
        let inward = [
            Inward::Input(5, bytes),
            Inward::InputEnd,
            Inward::Seen(6),
            Inward::Resize(TerminalSize {
                columns: 80,
                rows: 24,
            }),
            Inward::Signal("INT".into()),
        ];
        for frame in inward {
            assert_eq!(Inward::decode(frame.encode()).unwrap(), frame);
        }
        for cut in [
            &b""[..],
            b"\x02\0",
            b"\x04\0\0\0\0\0\0\0\0\0",
            b"\x14\0",
            b"\x63",
            b"\x06{",
        ] {
            let cut = Bytes::copy_from_slice(cut);
            assert!(Outward::decode(cut.clone()).is_err() && Inward::decode(cut).is_err());
        }
    }
}
