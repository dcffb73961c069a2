//! One line of a log: `2026-01-31T12:00:00.123456789Z stdout F hello`.

use jiff::Timestamp;

use crate::source::Stream;

/// A line as it lies in a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) time: Timestamp,
    pub(crate) stream: Stream,
    /// Whether the program's line ends here.
    pub(crate) complete: bool,
    pub(crate) bytes: &'a [u8],
}

/// Appends a line. `time` is text, so that lines of one moment share the work of writing it.
pub(crate) fn write(
    buffer: &mut Vec<u8>,
    time: &str,
    stream: Stream,
    complete: bool,
    bytes: &[u8],
) {
    buffer.extend_from_slice(time.as_bytes());
    buffer.push(b' ');
    buffer.extend_from_slice(stream.as_str().as_bytes());
    buffer.extend_from_slice(if complete { b" F " } else { b" P " });
    buffer.extend_from_slice(bytes);
    buffer.push(b'\n');
}

/// The time as [`write()`] wants it: UTC, with nanoseconds.
pub(crate) fn time_text(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// Reads a line without its line feed; `None` if it is none.
pub(crate) fn parse(line: &[u8]) -> Option<Line<'_>> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let stream = Stream::from_word(parts.next()?)?;
    let complete = match parts.next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some(Line {
        time,
        stream,
        complete,
        bytes: parts.next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_whatever_its_bytes() {
        let time: Timestamp = "2026-01-31T12:00:00.000000007Z".parse().unwrap();
        for bytes in [&b""[..], b" ", b"a b", b"\0\xff\r", b"F P"] {
            let mut buffer = Vec::new();
            write(&mut buffer, &time_text(time), Stream::Stderr, false, bytes);
            assert_eq!(buffer.pop(), Some(b'\n'));
            assert_eq!(
                parse(&buffer).unwrap(),
                Line {
                    time,
                    stream: Stream::Stderr,
                    complete: false,
                    bytes
                }
            );
        }
        let mut buffer = Vec::new();
        write(&mut buffer, &time_text(time), Stream::Stdout, true, b"hi");
        assert_eq!(buffer, b"2026-01-31T12:00:00.000000007Z stdout F hi\n");
    }

    #[test]
    fn torn_and_foreign_lines_are_none() {
        for bad in [
            "",
            "2026-01-31T12:00",
            "2026-01-31T12:00:00Z stdout F",
            "2026-01-31T12:00:00Z other F x",
            "x stdout F x",
            "2026-01-31T12:00:00Z stdout X x",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
