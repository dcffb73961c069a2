//! Which part of a file is asked for: RFC 9110, section 14. Pure.

use axum::http::HeaderMap;
use axum::http::header::{IF_RANGE, RANGE};

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Its first byte.
    pub(super) first: u64,
    /// Its last byte, where that is not the file's.
    pub(super) last: Option<u64>,
}

impl Part {
    /// How many bytes it has at most, where that is said.
    pub(super) fn length(self) -> Option<u64> {
        self.last
            .map(|last| last.saturating_sub(self.first).saturating_add(1))
    }
}

/// The part a request asks for; what is not understood is ignored, as the RFC has it: several parts at
/// once, parts from the end. A condition on the part (`If-Range`) takes a strong tag, and there are only
/// weak ones here, so it never holds.
pub(super) fn asked(headers: &HeaderMap) -> Option<Part> {
    if headers.contains_key(IF_RANGE) {
        return None;
    }
    let text = headers.get(RANGE)?.to_str().ok()?;
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let first = number(first)?;
    let last = match last {
        "" => None,
        last => Some(number(last)?),
    };
    last.is_none_or(|last| first <= last)
        .then_some(Part { first, last })
}

/// Digits, and nothing else: a sign is none.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_is_understood_and_all_else_is_ignored() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, text.parse().unwrap());
            super::asked(&headers).map(|part| (part.first, part.last, part.length()))
        };
        assert_eq!(asked("bytes=0-"), Some((0, None, None)));
        assert_eq!(asked("bytes=10-19"), Some((10, Some(19), Some(10))));
        assert_eq!(
            asked("bytes=0-18446744073709551615").unwrap().2,
            Some(u64::MAX)
        );
        for ignored in [
            "bytes=-5",
            "bytes=5-4",
            "bytes=0-1,3-4",
            "bytes=",
            "bytes=a-",
            "bytes=+1-",
            "lines=0-",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(asked(ignored), None, "{ignored}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(super::asked(&headers), None);
        headers.insert(RANGE, "bytes=1-".parse().unwrap());
        headers.insert(IF_RANGE, "W/\"1-2\"".parse().unwrap());
        assert_eq!(super::asked(&headers), None);
    }
}
