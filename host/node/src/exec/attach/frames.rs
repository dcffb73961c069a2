//! From what a source gives to what is sent. Pure.

use bytes::{BufMut, Bytes, BytesMut};
use fleet_capability::source::{Frame, Stream};
use fleet_protocol::exec::{CHUNK_BYTES, Outward};

/// Counts output while it is turned into frames.
#[derive(Debug)]
pub(super) struct Meter {
    /// The place after the last byte that was sent.
    sent: u64,
    /// The place after the last byte the source gave. Behind `sent` where a source was opened again.
    given: u64,
}

impl Meter {
    /// Output goes on after here.
    pub(super) fn new(after: u64) -> Self {
        Self {
            sent: after,
            given: after,
        }
    }

    /// The source was opened again after this place: what was sent before is not sent again.
    pub(super) fn opened(&mut self, after: u64) {
        self.given = after;
    }

    /// The place after the last byte that was sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// What to send of this frame.
    pub(super) fn frames(&mut self, frame: Frame) -> Vec<Outward> {
        let cursor = frame
            .cursor
            .as_deref()
            .and_then(|cursor| cursor.parse::<u64>().ok());
        let make = match frame.stream {
            Stream::Stdout => Outward::Stdout,
            Stream::Stderr => Outward::Stderr,
            Stream::Event => return self.gap(cursor),
        };
        let mut bytes = match frame.complete {
            true => with_line_feed(&frame.bytes),
            false => frame.bytes,
        };
        let to = cursor.unwrap_or_else(|| self.given.saturating_add(length(&bytes)));
        self.given = to;
        if to <= self.sent {
            return Vec::new();
        }
        let from = to.saturating_sub(length(&bytes));
        if from < self.sent {
            let known = usize::try_from(self.sent - from).unwrap_or(usize::MAX);
            bytes = bytes.slice(known.min(bytes.len())..);
        }
        let mut frames = Vec::new();
        let mut at = to.saturating_sub(length(&bytes));
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(CHUNK_BYTES));
            at = at.saturating_add(length(&part));
            frames.push(make(at, part));
        }
        self.sent = to;
        frames
    }

    /// Output up to here is not kept any more.
    fn gap(&mut self, to: Option<u64>) -> Vec<Outward> {
        let Some(to) = to else {
            return Vec::new();
        };
        self.given = self.given.max(to);
        if to <= self.sent {
            return Vec::new();
        }
        let gap = Outward::Gap(self.sent, to);
        self.sent = to;
        vec![gap]
    }
}

/// Lines come without their line feed; people get what was printed.
fn with_line_feed(line: &Bytes) -> Bytes {
    let mut bytes = BytesMut::with_capacity(line.len() + 1);
    bytes.put_slice(line);
    bytes.put_u8(b'\n');
    bytes.freeze()
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: Stream, text: &'static str, cursor: Option<u64>) -> Frame {
        Frame {
            stream,
            time_us: None,
            bytes: Bytes::from_static(text.as_bytes()),
            complete: false,
            cursor: cursor.map(|cursor| cursor.to_string()),
        }
    }

    fn out(offset: u64, text: &'static str) -> Outward {
        Outward::Stdout(offset, Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn each_byte_is_sent_once_though_a_source_is_opened_again() {
        let mut meter = Meter::new(5);
        let stdout = |text, cursor| frame(Stream::Stdout, text, Some(cursor));
        assert_eq!(meter.frames(stdout("abc", 8)), [out(8, "abc")]);
        assert_eq!(
            meter.frames(frame(Stream::Stderr, "e", Some(9))),
            [Outward::Stderr(9, Bytes::from_static(b"e"))]
        );
        meter.opened(6);
        assert_eq!(meter.frames(stdout("b", 7)), []);
        assert_eq!(meter.frames(stdout("ceXYZ", 12)), [out(12, "XYZ")]);
        assert_eq!(meter.sent(), 12);
    }

    #[test]
    fn what_is_not_kept_is_a_gap_and_a_source_without_cursors_is_counted() {
        let mut meter = Meter::new(2);
        assert_eq!(
            meter.frames(frame(Stream::Event, "", Some(7))),
            [Outward::Gap(2, 7)]
        );
        assert_eq!(meter.frames(frame(Stream::Event, "", Some(7))), []);
        assert_eq!(meter.frames(frame(Stream::Event, "note", None)), []);
        let line = Frame {
            complete: true,
            ..frame(Stream::Stdout, "hi", None)
        };
        assert_eq!(meter.frames(line), [out(10, "hi\n")]);
    }

    #[test]
    fn no_frame_is_larger_than_a_chunk() {
        let much = Frame {
            bytes: Bytes::from(vec![1; 2 * CHUNK_BYTES + 1]),
            ..frame(Stream::Stdout, "", None)
        };
        let sizes: Vec<_> = Meter::new(0)
            .frames(much)
            .into_iter()
            .map(|frame| match frame {
                Outward::Stdout(to, bytes) => (to, bytes.len()),
                other => panic!("{other:?}"),
            })
            .collect();
        let chunk = u64::try_from(CHUNK_BYTES).unwrap();
        assert_eq!(
            sizes,
            [
                (chunk, CHUNK_BYTES),
                (2 * chunk, CHUNK_BYTES),
                (2 * chunk + 1, 1)
            ]
        );
    }
}
