//! Puts the values of secrets where their placeholders stand.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};
use fleet_model::{Error, Name};
use zeroize::Zeroizing;

use super::{SecretValue, no_secret};

/// Knows which placeholder stands for which value.
pub(crate) struct Filler<'a> {
    finder: Option<AhoCorasick>,
    values: Vec<&'a SecretValue>,
}

impl<'a> Filler<'a> {
    /// For values that are given to a program in its environment.
    ///
    /// # Errors
    /// `not-found` (`no-secret`) for a name without a value, `invalid` (`bad-secret`) for a value
    /// that no variable can hold.
    pub(crate) fn new(
        secrets: &BTreeMap<String, Name>,
        values: &'a BTreeMap<Name, SecretValue>,
    ) -> Result<Self, Error> {
        let mut placeholders = Vec::new();
        let mut known = Vec::new();
        for (placeholder, name) in secrets.iter().filter(|(text, _)| !text.is_empty()) {
            let value = values.get(name).ok_or_else(|| no_secret(name))?;
            if value.expose().contains(&0) {
                return Err(Error::invalid(
                    "bad-secret",
                    format!(
                        "the secret `{name}` holds a zero byte, which no environment variable can: set it anew without one, or give it to the workload as a file"
                    ),
                )
                .with("secret", name));
            }
            placeholders.push(placeholder);
            known.push(value);
        }
        let finder = (!placeholders.is_empty())
            .then(|| {
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    .build(placeholders)
                    .map_err(|error| {
                        Error::internal(
                            "bad-placeholder",
                            format!("placeholders are too many or too long: {error}"),
                        )
                    })
            })
            .transpose()?;
        Ok(Self {
            finder,
            values: known,
        })
    }

    /// The text with every placeholder replaced. What a value itself holds stays as it is.
    pub(crate) fn fill(&self, text: &str) -> SecretValue {
        let Some(finder) = &self.finder else {
            return SecretValue::new(text.as_bytes().to_vec());
        };
        let pieces = self.pieces(finder, text);
        // Of its full size at once: a vector that grows leaves its content behind.
        let size = pieces.iter().map(|piece| piece.len()).sum();
        let mut filled = Zeroizing::new(Vec::with_capacity(size));
        for piece in pieces {
            filled.extend_from_slice(piece);
        }
        SecretValue(filled)
    }

    fn pieces<'t>(&'t self, finder: &AhoCorasick, text: &'t str) -> Vec<&'t [u8]> {
        let mut pieces = Vec::new();
        let mut rest = 0;
        for found in finder.find_iter(text) {
            pieces.extend(text.as_bytes().get(rest..found.start()));
            let value = self.values.get(found.pattern().as_usize());
            pieces.extend(value.map(|value| value.expose()));
            rest = found.end();
        }
        pieces.extend(text.as_bytes().get(rest..));
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> SecretValue {
        SecretValue::new(bytes.to_vec())
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn placeholders_are_replaced_wherever_they_stand_and_values_are_not_looked_into() {
        let secrets = BTreeMap::from([
            ("<a>".to_owned(), name("one")),
            ("<a>b".to_owned(), name("two")),
            ("<c>".to_owned(), name("one")),
        ]);
        let values = BTreeMap::from([(name("one"), value(b"\xff<c>")), (name("two"), value(b"2"))]);
        let filler = Filler::new(&secrets, &values).unwrap();
        for (text, want) in [
            ("", b"".as_slice()),
            ("plain <b>", b"plain <b>"),
            ("<a>", b"\xff<c>"),
            ("x<a>y<c>", b"x\xff<c>y\xff<c>"),
            ("<a>b<a>", b"2\xff<c>"),
        ] {
            assert_eq!(filler.fill(text).expose(), want, "{text}");
        }
        let none = BTreeMap::new();
        let filler = Filler::new(&none, &values).unwrap();
        assert_eq!(filler.fill("<a>").expose(), b"<a>");
    }

    #[test]
    fn a_value_that_is_missing_or_cannot_be_set_is_named_and_not_shown() {
        let secrets = BTreeMap::from([("<a>".to_owned(), name("one"))]);
        let missing = Filler::new(&secrets, &BTreeMap::new()).err().unwrap();
        assert_eq!(missing.code, "no-secret");
        let values = BTreeMap::from([(name("one"), value(b"hun\0ter"))]);
        let bad = Filler::new(&secrets, &values).err().unwrap();
        assert_eq!(bad.code, "bad-secret");
        assert!(
            bad.message.contains("`one`") && !bad.message.contains("hun"),
            "{bad}"
        );
    }
}
