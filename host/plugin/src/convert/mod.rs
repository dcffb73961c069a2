//! Between the contract's types and the host's, at the edge and nowhere else.
//!
//! What a guest says is checked here: sizes, numbers that must agree, JSON that must be JSON. What
//! breaks a rule is an `internal` error with the code `bad-answer` that names the plugin, because
//! it is the plugin's bug.
//!
//! All its text goes through an [`Intake`]. Left as it is is only what is for a program and not
//! shown: handles, cursors, the path of a kill target, and the name, version and schema of
//! `describe`, which a guest gives before it has met anything.

pub(crate) mod from_guest;
pub(crate) mod process;
pub(crate) mod to_guest;

use std::collections::BTreeMap;

use fleet_capability::Redactor;
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

/// Takes in what a guest said: without the values of secrets, then cut. In this order, because half
/// a value would not be known any more.
#[derive(Clone, Copy)]
pub(crate) struct Intake<'a>(pub(crate) &'a Redactor);

impl Intake<'_> {
    /// Text that is shown or stored.
    pub(crate) fn text(self, mut said: String, most: usize) -> String {
        self.0.string(&mut said);
        text(said, most)
    }

    /// Bytes that are mostly text.
    pub(crate) fn bytes(self, said: Vec<u8>) -> Vec<u8> {
        let is_clean = |chunk: std::str::Utf8Chunk<'_>| {
            matches!(self.0.text(chunk.valid()), std::borrow::Cow::Borrowed(_))
        };
        if said.utf8_chunks().all(is_clean) {
            return said;
        }
        said.utf8_chunks().fold(Vec::new(), |mut clean, chunk| {
            clean.extend_from_slice(self.0.text(chunk.valid()).as_bytes());
            clean.extend_from_slice(chunk.invalid());
            clean
        })
    }

    /// Facts by name; too many and too long ones are cut.
    pub(crate) fn attributes(self, list: Vec<(String, String)>) -> BTreeMap<String, String> {
        list.into_iter()
            .take(MAX_ATTRIBUTES)
            .map(|(key, value)| (self.text(key, MAX_KEY), self.text(value, MAX_TOKEN)))
            .collect()
    }
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
    use fleet_capability::SecretValue;

    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(text("abc".into(), 3), "abc");
        assert_eq!(text("ääääää".into(), 8), "ää…");
        let redactor = Redactor::default();
        let intake = Intake(&redactor);
        let long = intake.attributes(vec![("k".repeat(1_000), "v".repeat(1 << 20)); 2]);
        assert_eq!(long.len(), 1);
        assert!(
            long.iter()
                .all(|(k, v)| k.len() <= MAX_KEY && v.len() <= MAX_TOKEN)
        );
        let many = intake.attributes(
            (0..10_000)
                .map(|n| (n.to_string(), String::new()))
                .collect(),
        );
        assert_eq!(many.len(), MAX_ATTRIBUTES);
    }

    #[test]
    fn a_value_is_taken_out_before_anything_is_cut() {
        let redactor = Redactor::default();
        let value = SecretValue::new(b"hunter22".to_vec());
        redactor.know(&BTreeMap::from([("a".parse().unwrap(), vec![value])]));
        let intake = Intake(&redactor);
        assert_eq!(intake.text("say hunter22!".into(), 10), "say ***!");
        assert_eq!(
            intake.attributes(vec![("hunter22".into(), "hunter22".into())]),
            BTreeMap::from([("***".to_owned(), "***".to_owned())])
        );
        assert_eq!(
            intake.bytes(b"\xff hunter22 \xfe".to_vec()),
            b"\xff *** \xfe"
        );
        assert_eq!(intake.bytes(b"\xff h \xfe".to_vec()), b"\xff h \xfe");
    }
}
