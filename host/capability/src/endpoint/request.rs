//! What a plugin asks, and the one reading of its path.

use std::collections::BTreeMap;

/// The longest path and the longest text of a query or a header, in bytes.
pub(crate) const MAX_TEXT: usize = 8 * 1024;

/// A request, as a plugin makes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// From the root, without query; `%xx` only for what a path cannot hold.
    pub path: String,
    /// Keys and values as plain text.
    pub query: Vec<(String, String)>,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Option<String>,
    /// Of a stream: `cursor`, `framing`.
    pub attributes: BTreeMap<String, String>,
}

impl Request {
    /// One without query, headers and body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            ..Self::default()
        }
    }

    /// With one more key of the query.
    #[must_use]
    pub fn query(mut self, key: &str, value: &str) -> Self {
        self.query.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, json: impl ToString) -> Self {
        self.body = Some(json.to_string());
        self
    }

    /// With one more attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// The segments of a path, decoded once.
///
/// # Errors
/// What no path of a request may have.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, String> {
    if path.len() > MAX_TEXT {
        return Err(format!("it is longer than {MAX_TEXT} bytes"));
    }
    let rest = path
        .strip_prefix('/')
        .ok_or("it must begin with `/` and name no server")?;
    rest.split('/').map(segment).collect()
}

fn segment(raw: &str) -> Result<String, String> {
    if raw.is_empty() {
        return Err("it has an empty segment (`//`, or `/` at its end)".to_owned());
    }
    if let Some(bad) = raw.chars().find(|&c| !is_path_text(c)) {
        return Err(format!("{bad:?} must not stand in it"));
    }
    let text = decode(raw)?;
    if text.chars().any(char::is_control) {
        return Err("a control character must not stand in it".to_owned());
    }
    if text == "." || text == ".." {
        return Err(format!("the segment `{text}` must not stand in it"));
    }
    Ok(text)
}

fn is_path_text(c: char) -> bool {
    !c.is_control() && !matches!(c, '\\' | ';' | '?' | '#' | ' ')
}

/// What `%xx` stand for, where they stand for what needs it.
fn decode(raw: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, after)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        let digits = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte = byte.ok_or("a `%` must be followed by two hexadecimal digits")?;
        let needs_it = byte > 0x7f
            || matches!(
                byte,
                b' ' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'[' | b']'
            );
        if !needs_it {
            return Err(format!(
                "`%{byte:02x}` must not stand in it: write what it stands for, if a path can hold that"
            ));
        }
        bytes.push(byte);
        rest = after.get(2..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())
}

/// A text as part of a path.
pub(crate) fn encode_segment(text: &str) -> String {
    encode(text, b":@")
}

/// A key or a value of a query.
pub(crate) fn encode_query(text: &str) -> String {
    encode(text, b"")
}

fn encode(text: &str, more: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_plain || more.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 0xf].map(|half| {
                char::from_digit(u32::from(half), 16)
                    .unwrap_or_default()
                    .to_ascii_uppercase()
            }));
        }
    }
    encoded
}

/// A text that ends no line and hides nothing.
pub(crate) fn is_plain_text(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_read_in_one_way_or_not_at_all() {
        for (path, want) in [
            ("/a", vec!["a"]),
            (
                "/v1.41/containers/a b".trim_end_matches(" b"),
                vec!["v1.41", "containers", "a"],
            ),
            ("/a/b:c@d", vec!["a", "b:c@d"]),
            ("/a/%20%C3%A4", vec!["a", " ä"]),
            ("/ä", vec!["ä"]),
            ("/...", vec!["..."]),
        ] {
            assert_eq!(segments(path).unwrap(), want, "{path}");
        }
        for path in [
            "",
            "a",
            "/",
            "//",
            "/a//b",
            "/a/",
            "/./a",
            "/a/..",
            "/a/../b",
            "/%2e%2e/a",
            "/%2E/a",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a;b",
            "/a?b",
            "/a#b",
            "/a b",
            "/a\r\nb",
            "/a\0b",
            "/%00",
            "/%0d%0a",
            "/%",
            "/%4",
            "/%zz",
            "/%+4",
            "/%61",
            "/%25",
            "/%252e",
            "/%ff",
            "http://x/a",
            "*",
            "/a%3bb",
            "/a%3fb",
            "/a\u{85}b",
            "/%7f",
            "/%é",
            "/%c2%85",
        ] {
            assert!(segments(path).is_err(), "{path:?}");
        }
        assert!(segments(&format!("/{}", "a".repeat(MAX_TEXT))).is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_one_plain_word(text in ".*") {
            for encoded in [encode_segment(&text), encode_query(&text)] {
                let fine = |c: u8| c.is_ascii_alphanumeric() || b"-._~%:@".contains(&c);
                prop_assert!(encoded.bytes().all(fine));
            }
        }

        #[test]
        fn reading_never_panics_and_what_was_read_encodes_to_the_same(path in "[ -~äé%/.]{0,40}") {
            if let Ok(read) = segments(&path) {
                prop_assert!(read.iter().all(|s| !s.is_empty() && s != "." && s != ".."));
                prop_assert!(read.iter().all(|s| !s.contains(['/', '\\', '%'])));
            }
        }
    }
}
