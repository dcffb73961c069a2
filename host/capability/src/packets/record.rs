//! One line of a segment: a packet, or the mark that everything before it is durable.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::SpooledPacket;

/// A line that says: all before it is durable, so readers may take it.
pub(crate) const MARK: &[u8] = b"{}\n";

#[derive(Deserialize)]
struct Line<'a> {
    seq: u64,
    at_ms: u64,
    #[serde(borrow)]
    packet: &'a RawValue,
}

/// Appends a packet. `json` is one line of JSON.
pub(crate) fn write(buffer: &mut Vec<u8>, seq: u64, at_ms: u64, json: &str) {
    let head = format!("{{\"seq\":{seq},\"at_ms\":{at_ms},\"packet\":");
    buffer.extend_from_slice(head.as_bytes());
    buffer.extend_from_slice(json.as_bytes());
    buffer.extend_from_slice(b"}\n");
}

/// Reads a packet without its line feed; `None` if it is none.
pub(crate) fn parse(line: &[u8]) -> Option<SpooledPacket> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    Some(SpooledPacket {
        seq: line.seq,
        at_ms: line.at_ms,
        json: line.packet.get().to_owned(),
    })
}

/// The part of a segment that readers may take: what stands before its last mark.
pub(crate) fn durable(segment: &[u8]) -> &[u8] {
    let mut end = segment.len();
    while let Some(feed) = segment
        .get(..end)
        .and_then(|rest| rest.iter().rposition(|byte| *byte == b'\n'))
    {
        let whole = segment.get(..=feed).unwrap_or_default();
        if let Some(before) = whole.strip_suffix(MARK)
            && matches!(before.last(), None | Some(b'\n'))
        {
            return before;
        }
        end = feed;
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_reads_back_as_it_was_emitted() {
        for json in [
            "{}",
            "null",
            " 1e3",
            r#"{"a": [1, "\n}"], "b":  1.50}"#,
            "\"\u{fffd}ü\"",
        ] {
            let mut buffer = Vec::new();
            write(&mut buffer, 7, 9, json);
            assert_eq!(buffer.pop(), Some(b'\n'));
            let packet = parse(&buffer).unwrap();
            assert_eq!((packet.seq, packet.at_ms), (7, 9));
            assert_eq!(packet.json, json.trim());
            for torn in 0..buffer.len() {
                assert_eq!(parse(&buffer[..torn]), None);
            }
        }
        assert_eq!(parse(b"{}"), None);
    }

    #[test]
    fn only_what_is_before_a_mark_is_durable() {
        for (segment, expected) in [
            ("", ""),
            ("a\n", ""),
            ("{}", ""),
            ("{}\n", ""),
            ("a\n{}\n", "a\n"),
            ("a\n{}\nb\n", "a\n"),
            ("a\n{}\nb\n{}", "a\n"),
            ("a\n{}\nb\n{}\n", "a\n{}\nb\n"),
            ("a\n{}\nb{}\n", "a\n"),
        ] {
            assert_eq!(
                durable(segment.as_bytes()),
                expected.as_bytes(),
                "{segment:?}"
            );
        }
    }
}
