//! Takes the values of secrets out of texts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use fleet_model::{Error, Name};
use zeroize::Zeroizing;

use super::SecretValue;

/// Values shorter than this are not looked for: they would be found in every text.
const SHORTEST_BYTES: usize = 4;

/// Lines of a value shorter than this are not looked for one by one.
const SHORTEST_LINE_BYTES: usize = 12;

/// Values longer than this are looked for as they are, and in no other form: each form takes memory.
const LONGEST_DERIVED_BYTES: usize = 4 * 1024;

/// What stands where a value stood.
const INSTEAD: &str = "***";

/// Knows the values in use, in the forms they are usually written in: as they are, as JSON text,
/// in base64 and in hexadecimal. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor(Arc<ArcSwapOption<AhoCorasick>>);

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(***)")
    }
}

impl Redactor {
    /// From now on these values, and no others, are kept out.
    pub fn know(&self, values: &BTreeMap<Name, Vec<SecretValue>>) {
        let forms: Vec<Zeroizing<Vec<u8>>> = values.values().flatten().flat_map(forms).collect();
        let found = (!forms.is_empty())
            .then(|| {
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    // The fastest kind would take hundreds of bytes of memory for each byte of a value.
                    .kind(Some(AhoCorasickKind::ContiguousNFA))
                    .build(forms.iter().map(|form| form.as_slice()))
                    .ok()
            })
            .flatten();
        self.0.store(found.map(Arc::new));
    }

    /// The text without any value that is known.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &*self.0.load() {
            Some(known) if known.is_match(text) => {
                let mut out = String::with_capacity(text.len());
                known.replace_all_with(text, &mut out, |_, _, out| {
                    out.push_str(INSTEAD);
                    true
                });
                Cow::Owned(out)
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// The error without any value that is known.
    #[must_use]
    pub fn error(&self, mut error: Error) -> Error {
        if self.0.load().is_none() {
            return error;
        }
        self.string(&mut error.message);
        self.string(&mut error.code);
        for detail in error.details.values_mut() {
            self.string(detail);
        }
        error
    }

    /// Facts without any value that is known.
    pub fn facts(&self, facts: &mut BTreeMap<String, String>) {
        for fact in facts.values_mut() {
            self.string(fact);
        }
    }

    /// Takes known values out of a text in its place.
    pub fn string(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.text(text) {
            *text = clean;
        }
    }
}

fn forms(value: &SecretValue) -> Vec<Zeroizing<Vec<u8>>> {
    // A value read from a file often ends with a line feed that nobody means.
    let bytes = value.expose().trim_ascii();
    if bytes.len() < SHORTEST_BYTES {
        return Vec::new();
    }
    let mut forms = vec![Zeroizing::new(bytes.to_vec())];
    // A key of several lines is often printed line by line.
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    forms.extend(
        lines
            .filter(|line| line.len() >= SHORTEST_LINE_BYTES && line.len() < bytes.len())
            .map(|line| Zeroizing::new(line.to_vec())),
    );
    if bytes.len() > LONGEST_DERIVED_BYTES {
        return forms;
    }
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.push(Zeroizing::new(engine.encode(bytes).into_bytes()));
        forms.push(Zeroizing::new(engine.encode(value.expose()).into_bytes()));
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    forms.push(Zeroizing::new(hex.to_uppercase().into_bytes()));
    forms.push(Zeroizing::new(hex.into_bytes()));
    if let Some(json) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| serde_json::to_string(text).ok())
    {
        let inner = json.trim_matches('"').as_bytes().to_vec();
        forms.push(Zeroizing::new(inner));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(value: &str) -> Redactor {
        let redactor = Redactor::default();
        let value = SecretValue::new(value.as_bytes().to_vec());
        redactor.know(&BTreeMap::from([("a".parse().unwrap(), vec![value])]));
        redactor
    }

    #[test]
    fn a_value_is_taken_out_in_every_usual_form() {
        let redactor = redactor("s3cr\"et\n");
        for text in [
            "say s3cr\"et now",
            r#"{"x":"s3cr\"et"}"#,
            "czNjciJldA==",
            "czNjciJldA",
            "czNjciJldAo=",
            "73336372226574",
        ] {
            let clean = redactor.text(text);
            assert!(clean.contains("***"), "{text} -> {clean}");
            assert!(
                !clean.contains("s3cr\"et") && !clean.contains("czNjciJldA"),
                "{clean}"
            );
        }
        assert_eq!(redactor.text("nothing"), "nothing");
    }

    #[test]
    fn a_value_of_several_lines_is_taken_out_line_by_line() {
        let redactor = redactor("-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nx\n-----END KEY-----\n");
        assert_eq!(redactor.text("at MIIEvQIBADANBgkq x"), "at *** x");
    }

    #[test]
    fn an_error_is_clean_in_all_its_parts() {
        let error = redactor("hunter22")
            .error(Error::internal("hunter22", "it was hunter22").with("a", "hunter22!"));
        assert!(!format!("{error:?}").contains("hunter22"));
    }

    #[test]
    fn what_is_too_short_or_not_in_use_any_more_is_left() {
        assert_eq!(redactor("abc").text("abc"), "abc");
        let redactor = redactor("hunter22");
        redactor.know(&BTreeMap::new());
        assert_eq!(redactor.text("hunter22"), "hunter22");
        assert!(!format!("{:?}", SecretValue::new(b"hunter22".to_vec())).contains("hunter"));
    }
}
