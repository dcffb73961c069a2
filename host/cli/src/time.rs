//! Times and durations, as people write and read them.

use std::time::Duration;

use jiff::Timestamp;

/// A duration as it is typed: `10s`, `2m 30s`, `500ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write 10s, 500ms, 2m or 1h 30m"))
}

/// A moment as it is typed: how long ago, or RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long before now.
    Ago(Duration),
    /// At this Unix time in milliseconds.
    At(u64),
}

impl Since {
    /// Reads one.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(ago) = humantime::parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        let at: Timestamp = text.parse().map_err(|_| {
            "expected how long ago (10m, 2h) or a time like 2026-01-31T12:00:00Z".to_owned()
        })?;
        u64::try_from(at.as_millisecond())
            .map(Self::At)
            .map_err(|_| "expected a time after 1970".to_owned())
    }

    /// In Unix milliseconds.
    pub(crate) fn unix_ms(self, now_ms: u64) -> u64 {
        match self {
            Self::Ago(ago) => {
                now_ms.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX))
            }
            Self::At(at) => at,
        }
    }
}

/// A Unix time in milliseconds as RFC 3339 in UTC, to the second.
pub(crate) fn stamp(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "-".to_owned(), |at| at.to_string())
}

/// How long ago, in one unit.
pub(crate) fn age(then_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(then_ms) / 1_000;
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How far away a moment is, in one unit.
///
/// Rounded to the nearest: what was put off by 70 minutes is 70 minutes away, also a moment later.
pub(crate) fn until(then_ms: u64, now_ms: u64) -> String {
    let half_ms = match then_ms.saturating_sub(now_ms) {
        0 => return "now".to_owned(),
        1..120_000 => 500,
        120_000..7_200_000 => 30_000,
        7_200_000..172_800_000 => 1_800_000,
        _ => 43_200_000,
    };
    format!("in {}", age(now_ms, then_ms.saturating_add(half_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        for (seconds, want) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_200, "2h"),
            (200_000, "2d"),
        ] {
            assert_eq!(age(5_000, 5_000 + seconds * 1_000), want);
        }
        assert_eq!(age(9_000, 5_000), "0s", "a clock set back is no error");
    }

    #[test]
    fn what_is_to_come_is_as_short() {
        assert_eq!(until(65_000, 5_000), "in 60s");
        assert_eq!(until(5_000 + 7_200_000, 5_000), "in 2h");
        assert_eq!(until(4_200_000, 700), "in 70m");
        assert_eq!(until(4_200_000, 31_000), "in 69m");
        assert_eq!(until(10_000, 5_300), "in 5s");
        assert_eq!(until(5_000, 5_000), "now");
        assert_eq!(until(1, 5_000), "now", "it is overdue");
    }

    #[test]
    fn since_is_a_span_or_a_time() {
        assert_eq!(Since::parse("90s").unwrap().unix_ms(100_000), 10_000);
        assert_eq!(
            Since::parse("1970-01-01T00:00:01.500Z").unwrap().unix_ms(0),
            1_500
        );
        assert!(Since::parse("yesterday").unwrap_err().contains("10m"));
        assert_eq!(stamp(1_700_000_000_123), "2023-11-14T22:13:20Z");
        assert!(duration("10").unwrap_err().contains("10s"));
    }
}
