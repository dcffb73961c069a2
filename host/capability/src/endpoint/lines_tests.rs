//! Lines out of pieces, and readers that come back.

use proptest::prelude::*;

use super::*;

fn piece(stream: Stream, text: &str) -> Piece {
    Piece {
        stream,
        bytes: Bytes::from(text.to_owned()),
        is_first: true,
        is_last: true,
    }
}

fn stamp(ns: i64) -> String {
    Timestamp::from_nanosecond(ns.into()).unwrap().to_string()
}

const SECOND: i64 = 1_000_000_000;
const BASE: i64 = 1_700_000_000 * SECOND;

#[test]
fn lines_are_joined_from_whatever_pieces() {
    let mut joiner = Joiner::new(Times::None, Begin::Whole { since_ns: None });
    let mut frames = Vec::new();
    for (stream, text) in [
        (Stream::Stdout, "a"),
        (Stream::Stderr, "x\ny"),
        (Stream::Stdout, "b\n\nc"),
        (Stream::Stderr, "z\n"),
    ] {
        frames.extend(joiner.take(&piece(stream, text)));
    }
    frames.extend(joiner.finish());
    let lines: Vec<_> = frames
        .iter()
        .map(|f| (f.stream, &f.bytes[..], f.complete))
        .collect();
    assert_eq!(
        lines,
        [
            (Stream::Stderr, &b"x"[..], true),
            (Stream::Stdout, b"ab", true),
            (Stream::Stdout, b"", true),
            (Stream::Stderr, b"yz", true),
            (Stream::Stdout, b"c", false),
        ]
    );
}

#[test]
fn a_line_without_end_comes_in_parts() {
    let mut joiner = Joiner::new(Times::None, Begin::Whole { since_ns: None });
    let long = "x".repeat(2 * LINE_BYTES + 5);
    let mut frames = joiner.take(&piece(Stream::Stdout, &long));
    frames.extend(joiner.take(&piece(Stream::Stdout, "\n")));
    let sizes: Vec<_> = frames.iter().map(|f| (f.bytes.len(), f.complete)).collect();
    assert_eq!(sizes, [(LINE_BYTES, false), (LINE_BYTES, false), (5, true)]);
}

#[test]
fn times_are_split_off_per_frame_and_per_line() {
    let (one, two) = (stamp(BASE), stamp(BASE + 5));
    let mut framed = Joiner::new(Times::PerFrame, Begin::Whole { since_ns: None });
    let mut frames = framed.take(&piece(Stream::Stdout, &format!("{one} begin ")));
    frames.extend(framed.take(&piece(Stream::Stdout, &format!("{two} end\n"))));
    let seen: Vec<_> = frames
        .iter()
        .map(|f| (&f.bytes[..], f.complete, f.time_us))
        .collect();
    let us = Some(u64::try_from(BASE / 1_000).unwrap());
    assert_eq!(seen, [(&b"begin "[..], false, us), (b"end", true, us)]);

    let mut raw = Joiner::new(Times::PerLine, Begin::Whole { since_ns: None });
    let text = format!("{one} a\n{two} b\nno time\n{one}");
    let mut frames = Vec::new();
    for part in text.as_bytes().chunks(3) {
        frames.extend(raw.take(&Piece {
            stream: Stream::Stdout,
            bytes: Bytes::copy_from_slice(part),
            is_first: false,
            is_last: false,
        }));
    }
    frames.extend(raw.finish());
    let seen: Vec<_> = frames
        .iter()
        .map(|f| (&f.bytes[..], f.time_us.is_some(), f.cursor.is_some()))
        .collect();
    assert_eq!(
        seen,
        [
            (&b"a"[..], true, true),
            (b"b", true, true),
            (b"no time", false, false),
            (one.as_bytes(), false, false)
        ]
    );
}

/// What a service answers from a time on.
fn service(entries: &[i64], from_ns: i64) -> Vec<(i64, usize)> {
    let numbered = entries
        .iter()
        .enumerate()
        .map(|(number, time)| (*time, number));
    numbered.filter(|(time, _)| *time >= from_ns).collect()
}

fn read(entries: &[(i64, usize)], begin: Begin, stop: usize) -> Vec<(usize, String)> {
    let mut joiner = Joiner::new(Times::PerFrame, begin);
    let frames = entries.iter().flat_map(|(time, number)| {
        joiner.take(&piece(
            Stream::Stdout,
            &format!("{} {number}\n", stamp(*time)),
        ))
    });
    frames
        .take(stop)
        .map(|frame| {
            let number = std::str::from_utf8(&frame.bytes).unwrap().parse().unwrap();
            (number, frame.cursor.unwrap())
        })
        .collect()
}

#[test]
fn what_is_no_cursor_is_refused() {
    for text in [
        "",
        "5",
        "5+1",
        "+5~5",
        "5+~5",
        "5.1234567890+1~5",
        "-5+1~5",
        "5+-1~5",
        "5+1~",
        "x",
    ] {
        assert_eq!(
            Cursor::parse(text).unwrap_err().code,
            "bad-cursor",
            "{text}"
        );
    }
    let cursor = Cursor::parse("1700000000.5+7~1700000001").unwrap();
    let (from_ns, newest_ns) = (BASE + SECOND / 2, BASE + SECOND);
    assert_eq!(
        cursor,
        Cursor {
            from_ns,
            known: 7,
            newest_ns
        }
    );
    assert_eq!(cursor.time(TimeFormat::Unix), "1700000000.500000000");
    assert_eq!(cursor.time(TimeFormat::Rfc3339), "2023-11-14T22:13:20.5Z");
}

#[test]
fn where_the_service_has_thrown_entries_away_nothing_new_is_left_out() {
    let entries: Vec<i64> = (0..10).map(|n| BASE + n * SECOND / 10).collect();
    let first = read(
        &service(&entries, i64::MIN),
        Begin::Whole { since_ns: None },
        8,
    );
    let cursor = Cursor::parse(&first.last().unwrap().1).unwrap();
    assert_eq!(cursor.known, 8);
    let later: Vec<(i64, usize)> = service(&entries, cursor.from_ns).split_off(6);
    let numbers: Vec<usize> = read(&later, Begin::After(cursor), 99)
        .into_iter()
        .map(|(n, _)| n)
        .collect();
    assert_eq!(numbers, [8, 9]);
}

proptest! {
    #[test]
    fn readers_that_come_back_lose_and_repeat_nothing(
        steps in prop::collection::vec((0_i64..3 * SECOND, -SLACK_NS / 2..=0_i64), 1..60),
        is_coarse in any::<bool>(),
        stops in prop::collection::vec(1_usize..12, 1..80),
    ) {
        // Times rise, but for a little disorder, and many are the same.
        let mut now = BASE;
        let entries: Vec<i64> = steps
            .into_iter()
            .map(|(step, back)| {
                now += if step % 3 == 0 { 0 } else { step };
                if back % 2 == 0 { now } else { now + back }
            })
            .collect();
        let mut seen = Vec::new();
        let mut begin = Begin::Whole { since_ns: None };
        for stop in stops {
            let from = match begin {
                Begin::After(cursor) if is_coarse => cursor.from_ns - cursor.from_ns % SECOND,
                Begin::After(cursor) => cursor.from_ns,
                _ => i64::MIN,
            };
            let lines = read(&service(&entries, from), begin, stop);
            let Some((_, cursor)) = lines.last() else { break };
            begin = Begin::After(Cursor::parse(cursor).unwrap());
            seen.extend(lines.into_iter().map(|(number, _)| number));
        }
        let want: Vec<usize> = (0..seen.len()).collect();
        prop_assert_eq!(seen, want);
    }
}
