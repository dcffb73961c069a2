//! The engine's times: RFC 3339, with the year 1 for "never".

use jiff::Timestamp;

/// Unix milliseconds; none where it says "never", or nothing readable.
pub(crate) fn unix_ms(text: &str) -> Option<u64> {
    let time: Timestamp = text.parse().ok()?;
    // The year 1 is before 1970, so "never" is no number either.
    u64::try_from(time.as_millisecond()).ok()
}

/// Unix seconds with a fraction, as the engine takes `since`.
pub(crate) fn seconds(unix_ms: u64) -> String {
    format!("{}.{:03}", unix_ms / 1_000, unix_ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_never_is_none() {
        for (text, want) in [
            ("1970-01-01T00:00:01.5Z", Some(1_500)),
            ("2026-11-21T14:23:33.883201343Z", Some(1_795_271_013_883)),
            (
                "2026-11-21T15:23:33.883201343+01:00",
                Some(1_795_271_013_883),
            ),
            ("0001-01-01T00:00:00Z", None),
            ("", None),
            ("yesterday", None),
        ] {
            assert_eq!(unix_ms(text), want, "{text}");
        }
    }

    #[test]
    fn since_has_three_digits_behind_the_point() {
        assert_eq!(seconds(1_795_271_013_007), "1795271013.007");
        assert_eq!(seconds(5), "0.005");
    }
}
