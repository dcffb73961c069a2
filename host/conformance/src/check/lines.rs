//! Lines of a log, put together from the pieces they come in.

use std::collections::BTreeMap;

use fleet_capability::{Frame, Stream};

use super::{Met, unmet};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) stream: Stream,
    pub(crate) text: String,
    pub(crate) time_us: Option<u64>,
    /// Where reading goes on after it.
    pub(crate) cursor: Option<String>,
}

/// Puts lines together. What the host itself says between them is left out.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    begun: BTreeMap<&'static str, (Vec<u8>, Option<u64>)>,
}

impl Joiner {
    /// Takes a piece; answers the line that it ends.
    pub(crate) fn take(&mut self, frame: Frame) -> Option<Line> {
        if frame.stream == Stream::Event {
            return None;
        }
        let key = frame.stream.as_str();
        let (bytes, time_us) = self.begun.entry(key).or_default();
        bytes.extend_from_slice(&frame.bytes);
        *time_us = time_us.or(frame.time_us);
        if !frame.complete {
            return None;
        }
        let (bytes, time_us) = self.begun.remove(key)?;
        Some(Line {
            stream: frame.stream,
            text: String::from_utf8_lossy(&bytes).into_owned(),
            time_us,
            cursor: frame.cursor,
        })
    }
}

/// What must be on each stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) stdout: &'a [String],
    pub(crate) stderr: &'a [String],
}

impl Wanted<'_> {
    fn of(&self, stream: Stream) -> &[String] {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
            Stream::Event => &[],
        }
    }

    /// Whether these are all of them, in order.
    pub(crate) fn are(&self, lines: &[Line]) -> Met {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let (wanted, found) = (self.of(stream), texts(lines, stream));
            if wanted != found {
                return unmet(said(stream, wanted), said(stream, &found));
            }
        }
        Ok(())
    }

    /// Whether these are the first of them; `true` when they are all.
    pub(crate) fn begin(&self, lines: &[Line]) -> Met<bool> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let (wanted, found) = (self.of(stream), texts(lines, stream));
            if !wanted.starts_with(&found) {
                return unmet(said(stream, wanted), said(stream, &found));
            }
        }
        Ok(lines.len() == self.stdout.len() + self.stderr.len())
    }
}

/// Whether a reader who asked for a part got it, and nothing else; `part` says which.
pub(crate) fn is_part(part: &str, wanted: &[Line], found: &[Line]) -> Met {
    let plain = |lines: &[Line]| -> Vec<(Stream, String)> {
        let pair = |line: &Line| (line.stream, line.text.clone());
        lines.iter().map(pair).collect()
    };
    if plain(wanted) == plain(found) {
        return Ok(());
    }
    let text = |lines: &[Line]| {
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        format!("{texts:?}")
    };
    unmet(format!("{part}: {}", text(wanted)), text(found))
}

/// The lines at or after the millisecond of the line of this number, counted from 1; and that
/// millisecond.
pub(crate) fn since(lines: &[Line], number: usize) -> Met<(u64, Vec<Line>)> {
    let line = number.checked_sub(1).and_then(|index| lines.get(index));
    let Some(time_us) = line.and_then(|line| line.time_us) else {
        return unmet(format!("a time at line {number}"), "none");
    };
    let since_ms = time_us / 1_000;
    let is_later = |line: &&Line| {
        let time_us = line.time_us.unwrap_or(u64::MAX);
        time_us >= since_ms.saturating_mul(1_000)
    };
    Ok((since_ms, lines.iter().filter(is_later).cloned().collect()))
}

fn texts(lines: &[Line], stream: Stream) -> Vec<String> {
    let here = lines.iter().filter(|line| line.stream == stream);
    here.map(|line| line.text.clone()).collect()
}

fn said(stream: Stream, lines: &[String]) -> String {
    format!("on {} {lines:?}", stream.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: Stream, text: &str, complete: bool) -> Frame {
        Frame {
            stream,
            time_us: Some(7),
            bytes: text.to_owned().into(),
            complete,
            cursor: complete.then(|| text.to_owned()),
        }
    }

    fn line(stream: Stream, text: &str, time_us: u64) -> Line {
        Line {
            stream,
            text: text.to_owned(),
            time_us: Some(time_us),
            cursor: None,
        }
    }

    #[test]
    fn pieces_of_two_streams_become_lines() {
        let mut joiner = Joiner::default();
        let mut lines = Vec::new();
        for piece in [
            frame(Stream::Stdout, "a", false),
            frame(Stream::Stderr, "x", true),
            frame(Stream::Event, "gap", true),
            frame(Stream::Stdout, "b", true),
        ] {
            lines.extend(joiner.take(piece));
        }
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["x", "ab"]);
        assert_eq!(lines[1].cursor.as_deref(), Some("b"));
    }

    #[test]
    fn each_stream_has_its_lines_in_order_whatever_the_other_does() {
        let (stdout, stderr) = (["a", "b"].map(str::to_owned), ["x".to_owned()]);
        let wanted = Wanted {
            stdout: &stdout,
            stderr: &stderr,
        };
        let (a, b) = (line(Stream::Stdout, "a", 1), line(Stream::Stdout, "b", 1));
        let x = line(Stream::Stderr, "x", 1);
        assert!(wanted.are(&[a.clone(), x.clone(), b.clone()]).is_ok());
        assert!(wanted.are(&[x.clone(), a.clone(), b.clone()]).is_ok());
        assert_eq!(
            wanted.are(&[b.clone(), a.clone(), x.clone()]),
            unmet(r#"on stdout ["a", "b"]"#, r#"on stdout ["b", "a"]"#)
        );
        assert_eq!(wanted.begin(std::slice::from_ref(&a)), Ok(false));
        assert_eq!(wanted.begin(&[a.clone(), x, b.clone()]), Ok(true));
        assert!(wanted.begin(&[b]).is_err());
        assert!(wanted.begin(&[a.clone(), a]).is_err());
    }

    #[test]
    fn since_takes_a_whole_millisecond() {
        let lines = [
            line(Stream::Stdout, "a", 1_999),
            line(Stream::Stdout, "b", 2_001),
            line(Stream::Stderr, "c", 2_900),
        ];
        let (since_ms, later) = since(&lines, 3).unwrap();
        assert_eq!((since_ms, later.len()), (2, 2));
        assert!(since(&lines, 0).is_err() && since(&lines, 4).is_err());
        assert_eq!(
            is_part("from line 3 on", &lines[1..], &lines),
            unmet(r#"from line 3 on: ["b", "c"]"#, r#"["a", "b", "c"]"#)
        );
    }
}
