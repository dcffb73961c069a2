//! Which part of a path is the API's and which the program's. Pure.

use axum::http::Uri;

/// `/api/v1/workloads/NAME/preview/PORT` has so many segments.
const SEGMENTS: usize = 6;

/// A request's path, taken apart, both parts to the letter as they were sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Up to the port, without a slash at its end.
    pub(super) prefix: String,
    /// Path and query for the program; empty where there is no slash behind the port.
    pub(super) rest: String,
    /// The query.
    pub(super) query: Option<String>,
}

impl Address {
    /// Takes a path apart.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let path = uri.path();
        let slashes = path.char_indices().filter(|(_, c)| *c == '/');
        let mut behind_port = slashes.map(|(at, _)| at).skip(SEGMENTS);
        let (prefix, below) = match behind_port.next() {
            Some(at) => path.split_at_checked(at)?,
            None => (path, ""),
        };
        let rest = match uri.query() {
            Some(query) if !below.is_empty() => format!("{below}?{query}"),
            _ => below.to_owned(),
        };
        Some(Self {
            prefix: prefix.to_owned(),
            rest,
            query: uri.query().map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_part_is_kept_to_the_letter() {
        const PREFIX: &str = "/api/v1/workloads/web/preview/http";
        for (below, rest) in [
            ("", ""),
            ("/", "/"),
            ("//a//b/", "//a//b/"),
            ("/a%2Fb/../c?x=%20&y", "/a%2Fb/../c?x=%20&y"),
            ("/?q", "/?q"),
            ("?q", ""),
        ] {
            let uri: Uri = format!("{PREFIX}{below}").parse().unwrap();
            let address = Address::of(&uri).unwrap();
            assert_eq!(
                (address.prefix.as_str(), address.rest.as_str()),
                (PREFIX, rest)
            );
        }
    }
}
