//! Between the contract's types and the host's, at the edge and nowhere else.
//!
//! What a guest says is checked here: sizes, numbers that must agree, JSON that must be JSON. What
//! breaks a rule is an `internal` error with the code `bad-answer` that names the plugin, because
//! it is the plugin's bug.

pub(crate) mod from_guest;
pub(crate) mod process;
pub(crate) mod to_guest;

use std::collections::BTreeMap;

use fleet_model::Error;

/// The largest handle, in bytes.
pub(crate) const MAX_HANDLE: usize = 64 * 1024;
/// The largest config schema, in bytes.
pub(crate) const MAX_SCHEMA: usize = 256 * 1024;
/// The longest text a guest gets through, in bytes.
pub(crate) const MAX_TEXT: usize = 8 * 1024;
/// The longest cursor, reference or path, in bytes.
pub(crate) const MAX_TOKEN: usize = 4 * 1024;
/// How many attributes or details a guest gets through.
const MAX_ATTRIBUTES: usize = 64;
const MAX_KEY: usize = 128;

/// A plugin broke the contract.
pub(crate) fn bad_answer(what: impl std::fmt::Display) -> Error {
    Error::internal(
        "bad-answer",
        format!("the plugin's answer breaks the contract: {what}"),
    )
}

/// Text, cut to a length that can be shown and stored.
pub(crate) fn text(mut text: String, most: usize) -> String {
    if text.len() > most {
        let mut end = most.saturating_sub('…'.len_utf8());
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Facts by name; too many and too long ones are cut.
pub(crate) fn attributes(list: Vec<(String, String)>) -> BTreeMap<String, String> {
    list.into_iter()
        .take(MAX_ATTRIBUTES)
        .map(|(key, value)| (text(key, MAX_KEY), text(value, MAX_TOKEN)))
        .collect()
}

/// Text that means something and so may not be cut.
pub(crate) fn token(token: String, name: &str) -> Result<String, Error> {
    if token.len() <= MAX_TOKEN {
        Ok(token)
    } else {
        Err(bad_answer(format!(
            "{name} has {} bytes, at most {MAX_TOKEN} are allowed",
            token.len()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(text("abc".into(), 3), "abc");
        assert_eq!(text("ääääää".into(), 8), "ää…");
        let long = attributes(vec![("k".repeat(1_000), "v".repeat(1 << 20)); 2]);
        assert_eq!(long.len(), 1);
        assert!(
            long.iter()
                .all(|(k, v)| k.len() <= MAX_KEY && v.len() <= MAX_TOKEN)
        );
        let many = attributes(
            (0..10_000)
                .map(|n| (n.to_string(), String::new()))
                .collect(),
        );
        assert_eq!(many.len(), MAX_ATTRIBUTES);
    }
}
