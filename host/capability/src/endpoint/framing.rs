//! How frames lie in a stream, as a policy says it, and how they are read.
//!
//! The reader takes bytes as they come, in whatever pieces, and gives the bytes of frames as soon as
//! they are there, each with its stream and whether a frame begins or ends with it.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes, BytesMut};
use fleet_model::Error;

use super::policy::file::{FramingTable, InputWord, OrderWord, StreamWord};
use crate::source::Stream;

/// The name of the framing that is none.
pub(crate) const RAW: &str = "raw";

const MAX_HEADER: usize = 64;
const FRAME_BYTES: usize = 1 << 20;

/// How frames lie in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There are none.
    Raw,
    Headed(Headed),
}

/// Frames with a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Headed {
    header: usize,
    length_at: usize,
    length_bytes: usize,
    is_big: bool,
    counts_header: bool,
    stream_at: Option<usize>,
    streams: BTreeMap<u8, Lane>,
    most: usize,
    /// The stream's byte of what goes in, if that is in frames.
    input: Option<u8>,
}

/// Where a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    To(Stream),
    Skip,
    End,
}

/// The framings that need not be described.
pub(crate) fn built_in() -> BTreeMap<String, Framing> {
    BTreeMap::from([(RAW.to_owned(), Framing::Raw)])
}

impl Framing {
    pub(super) fn read(table: &FramingTable) -> Result<Self, String> {
        let FramingTable {
            header_bytes,
            length_at,
            length_bytes,
            ..
        } = *table;
        if !(1..=MAX_HEADER).contains(&header_bytes) {
            return Err(format!("`header_bytes` goes from 1 to {MAX_HEADER}"));
        }
        if !matches!(length_bytes, 1 | 2 | 4 | 8) {
            return Err("`length_bytes` is 1, 2, 4 or 8".to_owned());
        }
        let is_inside =
            |at: usize, count: usize| at.checked_add(count).is_some_and(|end| end <= header_bytes);
        if !is_inside(length_at, length_bytes) || !table.stream_at.is_none_or(|at| is_inside(at, 1))
        {
            return Err("length and stream must lie in the header".to_owned());
        }
        if table.stream_at.is_some() == table.streams.is_empty() {
            return Err("`stream_at` and `streams` need each other".to_owned());
        }
        let mut streams = BTreeMap::new();
        for (byte, word) in &table.streams {
            let byte = byte
                .parse()
                .map_err(|_| format!("`{byte}` in `streams` is no byte: 0 to 255"))?;
            let lane = match word {
                StreamWord::Stdout => Lane::To(Stream::Stdout),
                StreamWord::Stderr => Lane::To(Stream::Stderr),
                StreamWord::Skip => Lane::Skip,
                StreamWord::End => Lane::End,
            };
            streams.insert(byte, lane);
        }
        let most = table.frame_bytes.unwrap_or(FRAME_BYTES);
        if !(1..=16 * FRAME_BYTES).contains(&most) {
            return Err("`frame_bytes` goes from 1 to 16777216".to_owned());
        }
        let input = match (table.input, table.input_stream) {
            (InputWord::Raw, None) => None,
            (InputWord::Raw, Some(_)) => {
                return Err("`input_stream` needs input = \"framed\"".to_owned());
            }
            (InputWord::Framed, None) if table.stream_at.is_some() => {
                return Err("input = \"framed\" needs `input_stream`".to_owned());
            }
            (InputWord::Framed, byte) => Some(byte.unwrap_or_default()),
        };
        Ok(Self::Headed(Headed {
            header: header_bytes,
            length_at,
            length_bytes,
            is_big: table.order == OrderWord::Big,
            counts_header: table.length_includes_header,
            stream_at: table.stream_at,
            streams,
            most,
            input,
        }))
    }

    /// What goes in, as it is sent. An empty piece is the end.
    pub(crate) fn wrap(&self, bytes: Bytes) -> Bytes {
        match self {
            Self::Raw => bytes,
            Self::Headed(headed) => match headed.input {
                Some(stream) => headed.wrap(stream, &bytes),
                None => bytes,
            },
        }
    }

    /// Whether the end of the input is told by a frame.
    pub(crate) fn tells_end(&self) -> bool {
        matches!(self, Self::Headed(Headed { input: Some(_), .. }))
    }
}

impl Headed {
    fn length(&self, header: &[u8]) -> usize {
        let field = header
            .get(self.length_at..)
            .and_then(|field| field.get(..self.length_bytes));
        let field = field.unwrap_or_default();
        let fold = |length: u64, byte: &u8| length << 8 | u64::from(*byte);
        let length = if self.is_big {
            field.iter().fold(0, fold)
        } else {
            field.iter().rev().fold(0, fold)
        };
        usize::try_from(length).unwrap_or(usize::MAX)
    }

    fn wrap(&self, stream: u8, bytes: &[u8]) -> Bytes {
        let mut framed = BytesMut::new();
        let mut rest = bytes;
        loop {
            let most = match self.length_bytes {
                1 => usize::from(u8::MAX) - self.header.min(usize::from(u8::MAX)),
                2 => usize::from(u16::MAX) - self.header,
                _ => self.most,
            };
            let (piece, after) = rest.split_at(rest.len().min(most.max(1)));
            let mut header = vec![0; self.header];
            let more = if self.counts_header { self.header } else { 0 };
            let length = (piece.len() + more) as u64;
            let length = if self.is_big {
                length.to_be_bytes()
            } else {
                length.to_le_bytes()
            };
            let length = if self.is_big {
                length.get(8 - self.length_bytes..)
            } else {
                length.get(..self.length_bytes)
            };
            let field = header.get_mut(self.length_at..self.length_at + self.length_bytes);
            if let (Some(field), Some(length)) = (field, length) {
                field.copy_from_slice(length);
            }
            if let Some(byte) = self.stream_at.and_then(|at| header.get_mut(at)) {
                *byte = stream;
            }
            framed.extend_from_slice(&header);
            framed.extend_from_slice(piece);
            rest = after;
            if rest.is_empty() {
                return framed.freeze();
            }
        }
    }
}

/// Bytes of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) stream: Stream,
    pub(crate) bytes: Bytes,
    /// Whether the frame begins with them.
    pub(crate) is_first: bool,
    /// Whether it ends with them.
    pub(crate) is_last: bool,
}

/// Takes a stream apart.
#[derive(Debug)]
pub(crate) struct Reader {
    framing: Framing,
    held: BytesMut,
    /// Of the frame that is being read: where it belongs, and how much of it is missing.
    open: Option<(Lane, usize, bool)>,
    is_over: bool,
}

impl Reader {
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            framing,
            held: BytesMut::new(),
            open: None,
            is_over: false,
        }
    }

    /// Takes what has come.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if !self.is_over {
            self.held.extend_from_slice(bytes);
        }
    }

    /// Whether a frame said that nothing comes any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The next bytes, if there are any yet.
    ///
    /// # Errors
    /// `unavailable` (`odd-answer`) where it is not what the framing says.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Error> {
        let Framing::Headed(headed) = &self.framing else {
            if self.held.is_empty() {
                return Ok(None);
            }
            return Ok(Some(Piece {
                stream: Stream::Stdout,
                bytes: self.held.split().freeze(),
                is_first: false,
                is_last: false,
            }));
        };
        loop {
            if self.is_over {
                return Ok(None);
            }
            let Some((lane, left, is_first)) = self.open else {
                let Some(header) = self.held.get(..headed.header) else {
                    return Ok(None);
                };
                let length = headed.length(header);
                let less = if headed.counts_header {
                    headed.header
                } else {
                    0
                };
                let length = length
                    .checked_sub(less)
                    .filter(|length| *length <= headed.most);
                let length = length
                    .ok_or_else(|| odd(&format!("a frame is longer than {} bytes", headed.most)))?;
                let byte = headed.stream_at.and_then(|at| header.get(at)).copied();
                let lane = match byte {
                    None => Lane::To(Stream::Stdout),
                    Some(byte) => *headed.streams.get(&byte).ok_or_else(|| {
                        odd(&format!(
                            "a frame is of the stream {byte}, which the policy does not have"
                        ))
                    })?,
                };
                self.held.advance(headed.header);
                self.is_over = lane == Lane::End;
                self.open = Some((lane, length, true));
                continue;
            };
            let count = left.min(self.held.len());
            if count == 0 && left > 0 {
                return Ok(None);
            }
            let bytes = self.held.split_to(count).freeze();
            let is_last = count == left;
            self.open = (!is_last).then_some((lane, left - count, false));
            if let Lane::To(stream) = lane {
                return Ok(Some(Piece {
                    stream,
                    bytes,
                    is_first,
                    is_last,
                }));
            }
        }
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// `unavailable` (`cut-short`) in the middle of a frame.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        let is_whole = self.is_over || (self.held.is_empty() && self.open.is_none());
        if is_whole || self.framing == Framing::Raw {
            return Ok(());
        }
        Err(Error::unavailable(
            "cut-short",
            "the stream ended in the middle of a frame: open it again",
        ))
    }
}

fn odd(what: &str) -> Error {
    Error::unavailable(
        "odd-answer",
        format!("the stream is not as the policy's framing says: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framing(text: &str) -> Result<Framing, String> {
        let table: FramingTable = toml::from_str(text).map_err(|error| error.to_string())?;
        Framing::read(&table)
    }

    const MUX: &str = "header_bytes = 8\nstream_at = 0\nlength_at = 4\nlength_bytes = 4\nframe_bytes = 100\n\
        streams = { \"1\" = \"stdout\", \"2\" = \"stderr\", \"3\" = \"skip\", \"9\" = \"end\" }\n";

    fn frame(stream: u8, text: &[u8]) -> Vec<u8> {
        let mut frame = vec![stream, 0, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap()];
        frame.extend_from_slice(text);
        frame
    }

    fn all(reader: &mut Reader) -> Result<Vec<Piece>, Error> {
        std::iter::from_fn(|| reader.next().transpose()).collect()
    }

    #[test]
    fn frames_are_told_apart() {
        let mut reader = Reader::new(framing(MUX).unwrap());
        let bytes = [
            frame(1, b"out"),
            frame(3, b"no"),
            frame(2, b""),
            frame(2, b"err"),
            frame(9, b""),
            b"rest".to_vec(),
        ]
        .concat();
        reader.feed(&bytes);
        let pieces: Vec<_> = all(&mut reader)
            .unwrap()
            .into_iter()
            .map(|p| (p.stream, p.bytes, p.is_first, p.is_last))
            .collect();
        assert_eq!(
            pieces,
            [
                (Stream::Stdout, Bytes::from("out"), true, true),
                (Stream::Stderr, Bytes::new(), true, true),
                (Stream::Stderr, Bytes::from("err"), true, true),
            ]
        );
        assert!(reader.is_over());
        reader.finish().unwrap();
    }

    #[test]
    fn what_is_no_frame_is_an_error_and_so_is_half_of_one() {
        for (bytes, code) in [
            (frame(7, b""), "odd-answer"),
            (vec![1, 0, 0, 0, 0, 0, 0, 101], "odd-answer"),
            (vec![1, 0, 0, 0, 255, 255, 255, 255], "odd-answer"),
            (frame(1, b"abc")[..10].to_vec(), "cut-short"),
            (vec![1, 0], "cut-short"),
        ] {
            let mut reader = Reader::new(framing(MUX).unwrap());
            reader.feed(&bytes);
            let error = all(&mut reader).and_then(|_| reader.finish()).unwrap_err();
            assert_eq!(error.code, code, "{bytes:?}");
        }
    }

    #[test]
    fn a_framing_that_cannot_be_is_refused() {
        for text in [
            "header_bytes = 0\nlength_at = 0\nlength_bytes = 1",
            "header_bytes = 4\nlength_at = 1\nlength_bytes = 4",
            "header_bytes = 4\nlength_at = 0\nlength_bytes = 3",
            "header_bytes = 4\nlength_at = 0\nlength_bytes = 2\nstream_at = 3",
            "header_bytes = 4\nlength_at = 0\nlength_bytes = 2\nstream_at = 4\nstreams = { \"1\" = \"stdout\" }",
            "header_bytes = 4\nlength_at = 0\nlength_bytes = 2\nstream_at = 3\nstreams = { \"256\" = \"stdout\" }",
            "header_bytes = 4\nlength_at = 0\nlength_bytes = 2\ninput_stream = 1",
        ] {
            assert!(framing(text).is_err(), "{text}");
        }
    }

    #[test]
    fn input_is_framed_where_the_policy_says_so() {
        let little = "header_bytes = 3\nlength_at = 1\nlength_bytes = 2\norder = \"little\"\nlength_includes_header = true\n\
            stream_at = 0\nstreams = { \"1\" = \"stdout\" }\ninput = \"framed\"\ninput_stream = 7\n";
        let framing = framing(little).unwrap();
        assert_eq!(
            framing.wrap(Bytes::from("ab")),
            Bytes::from_static(&[7, 5, 0, b'a', b'b'])
        );
        assert_eq!(framing.wrap(Bytes::new()), Bytes::from_static(&[7, 3, 0]));
        assert_eq!(Framing::Raw.wrap(Bytes::from("ab")), Bytes::from("ab"));
        let long = framing.wrap(Bytes::from(vec![0; 100_000]));
        assert_eq!(long.len(), 100_000 + 2 * 3);
    }

    proptest! {
        #[test]
        fn the_pieces_in_which_bytes_come_do_not_matter(
            frames in prop::collection::vec((1_u8..4, prop::collection::vec(any::<u8>(), 0..50)), 0..10),
            cuts in prop::collection::vec(1_usize..20, 0..60)
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(stream, text)| frame(*stream, text)).collect();
            let mut reader = Reader::new(framing(MUX).unwrap());
            let (mut rest, mut found) = (bytes.as_slice(), Vec::new());
            let mut cuts = cuts.into_iter();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(cuts.next().unwrap_or(7).min(rest.len()));
                reader.feed(now);
                found.extend(all(&mut reader).unwrap());
                rest = later;
            }
            reader.finish().unwrap();
            let of = |stream| -> Vec<u8> {
                found.iter().filter(|piece| piece.stream == stream).flat_map(|piece| piece.bytes.to_vec()).collect()
            };
            let want = |byte| -> Vec<u8> {
                frames.iter().filter(|(stream, _)| *stream == byte).flat_map(|(_, text)| text.clone()).collect()
            };
            prop_assert_eq!(of(Stream::Stdout), want(1));
            prop_assert_eq!(of(Stream::Stderr), want(2));
            let ends = found.iter().filter(|piece| piece.is_last).count();
            prop_assert_eq!(ends, frames.iter().filter(|(stream, _)| *stream != 3).count());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(framing(MUX).unwrap());
            reader.feed(&bytes);
            let _ = all(&mut reader).and_then(|_| reader.finish());
        }
    }
}
