//! The output a life has printed, and what of it a reader asks for.

use fleet_sdk::lines::{Line, Origin};
use fleet_sdk::{Error, logs};

use crate::config::{self, Config, Placed};
use crate::life::Life;
use crate::settings::{Bug, Settings};

/// The lines a reader gets, a follower also those to come. A cursor is the number of lines before
/// the place; with one, `tail` says nothing more.
///
/// A follower of one that runs gets a last line whose time never comes, so that its log stays open until
/// the host has seen the end, which nobody knows yet: it may be stopped before the one that is planned.
pub(crate) fn lines(
    config: &Config,
    life: &Life,
    options: &logs::Options,
    now_ms: u64,
) -> Result<Vec<Line>, Error> {
    let skipped = options.cursor.as_deref().map(position).transpose()?;
    let since_ms = options.since_ms.unwrap_or(0);
    let wanted = printed(config, life)
        .skip(skipped.unwrap_or(0))
        .filter(|line| line.time_ms >= since_ms);
    let (mut lines, future): (Vec<_>, Vec<_>) = wanted.partition(|line| line.time_ms <= now_ms);
    if let (Some(tail), None) = (options.tail, skipped) {
        let tail = usize::try_from(tail).unwrap_or(usize::MAX);
        lines.drain(..lines.len().saturating_sub(tail));
    }
    if options.follow {
        lines.extend(future);
        lines.extend(life.is_live(config, now_ms).then(never));
    }
    Ok(lines)
}

fn never() -> Line {
    Line {
        time_ms: u64::MAX,
        origin: Origin::Stdout,
        bytes: Vec::new(),
        cursor: String::new(),
    }
}

/// All lines of a life, from its first to its end. None is before the one above it.
fn printed(config: &Config, life: &Life) -> impl Iterator<Item = Line> {
    let end_ms = life.end_ms(config).unwrap_or(u64::MAX);
    let planned = life.running_since_ms(config).into_iter();
    planned
        .flat_map(|since_ms| timed(&config.output, since_ms))
        .zip(1_u64..)
        .take_while(move |((time_ms, _), _)| *time_ms <= end_ms)
        .map(|((time_ms, placed), count)| Line {
            time_ms,
            origin: origin(placed.stream),
            bytes: placed.text.into_bytes(),
            cursor: count.to_string(),
        })
}

/// Planned lines and when each is printed, by one who began at `since_ms`.
pub(crate) fn timed(
    lines: &[config::Line],
    since_ms: u64,
) -> impl Iterator<Item = (u64, Placed)> + '_ {
    let mut time_ms = 0;
    lines.iter().map(move |line| {
        let placed = match line {
            config::Line::Plain(text) => Placed::plain(text),
            config::Line::Placed(placed) => placed.clone(),
        };
        time_ms = since_ms.saturating_add(placed.after_ms.get()).max(time_ms);
        (time_ms, placed)
    })
}

pub(crate) fn origin(stream: config::Stream) -> Origin {
    match stream {
        config::Stream::Stdout => Origin::Stdout,
        config::Stream::Stderr => Origin::Stderr,
    }
}

/// What a reader is given who asked for this, where it is done wrong.
pub(crate) fn misread(options: &mut logs::Options, settings: Settings) {
    match settings.bug {
        Some(Bug::LogsSince) => options.since_ms = None,
        Some(Bug::LogsTail) => options.tail = None,
        Some(Bug::LogsCursor) => {
            let before = |cursor: String| position(&cursor).map(|at| at.saturating_sub(1));
            let before = options.cursor.take().and_then(|cursor| before(cursor).ok());
            options.cursor = before.map(|at| at.to_string());
        }
        _ => {}
    }
}

fn position(cursor: &str) -> Result<usize, Error> {
    cursor.parse().map_err(|_| {
        let message = format!("`{cursor}` is no cursor of this log: read from its begin");
        Error::invalid("cursor", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Started at 1,000: `a` and `b` then, `c` at 1,050 and `d`, told earlier, with it; ended at
    /// 2,000, before `e`.
    fn read(options: logs::Options, now_ms: u64) -> Vec<String> {
        let config = serde_json::json!({"run_ms": 1_000, "output": [
            "a",
            {"text": "b", "stream": "stderr"},
            {"text": "c", "after_ms": 50},
            "d",
            {"text": "e", "after_ms": 1_001},
        ]});
        let config: Config = serde_json::from_value(config).unwrap();
        let life = Life::default().start(&config, "op", 1_000);
        let lines = lines(&config, &life, &options, now_ms).unwrap();
        lines
            .into_iter()
            .map(|line| {
                if line.time_ms == u64::MAX {
                    return "never".to_owned();
                }
                format!(
                    "{} {}",
                    String::from_utf8(line.bytes).unwrap(),
                    line.time_ms
                )
            })
            .collect()
    }

    fn options() -> logs::Options {
        logs::Options {
            follow: false,
            since_ms: None,
            tail: None,
            cursor: None,
        }
    }

    #[test]
    fn a_reader_gets_what_is_printed_by_now_and_a_follower_all() {
        let follow = logs::Options {
            follow: true,
            ..options()
        };
        assert_eq!(read(options(), 1_000), ["a 1000", "b 1000"]);
        assert_eq!(
            read(options(), 5_000),
            ["a 1000", "b 1000", "c 1050", "d 1050"]
        );
        assert_eq!(
            read(follow.clone(), 1_000),
            ["a 1000", "b 1000", "c 1050", "d 1050", "never"],
            "its log stays open while it runs"
        );
        assert_eq!(
            read(follow.clone(), 2_000),
            ["a 1000", "b 1000", "c 1050", "d 1050"],
            "it has ended"
        );
        let tail = logs::Options {
            tail: Some(1),
            ..follow
        };
        assert_eq!(
            read(tail, 1_000),
            ["b 1000", "c 1050", "d 1050", "never"],
            "the tail is of the past"
        );
    }

    #[test]
    fn a_reader_may_leave_out_the_begin() {
        let since = logs::Options {
            since_ms: Some(1_001),
            ..options()
        };
        assert_eq!(read(since, 5_000), ["c 1050", "d 1050"]);
        for (tail, want) in [(0, 0), (3, 3), (u64::MAX, 4)] {
            let tail = logs::Options {
                tail: Some(tail),
                ..options()
            };
            assert_eq!(read(tail, 5_000).len(), want);
        }
        let tail = Some(1);
        let cursor = logs::Options {
            cursor: Some("1".to_owned()),
            tail,
            ..options()
        };
        assert_eq!(read(cursor, 5_000), ["b 1000", "c 1050", "d 1050"]);
    }

    #[test]
    fn every_cursor_goes_on_where_its_line_ended() {
        let config = Config {
            output: vec![config::Line::Plain("x".to_owned()); 5],
            ..Config::default()
        };
        let life = Life::default().start(&config, "op", 1_000);
        let all = lines(&config, &life, &options(), 1_000).unwrap();
        for (index, line) in all.iter().enumerate() {
            let from = logs::Options {
                cursor: Some(line.cursor.clone()),
                ..options()
            };
            assert_eq!(
                lines(&config, &life, &from, 1_000).unwrap(),
                all[index + 1..]
            );
        }
        let garbage = logs::Options {
            cursor: Some("x".to_owned()),
            ..options()
        };
        assert_eq!(
            lines(&config, &life, &garbage, 1_000).unwrap_err().code,
            "cursor"
        );
    }

    #[test]
    fn what_never_started_printed_nothing() {
        let config = Config {
            output: vec![config::Line::Plain("x".to_owned())],
            ..Config::default()
        };
        assert_eq!(lines(&config, &Life::default(), &options(), 9).unwrap(), []);
    }
}
