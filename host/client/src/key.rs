//! The key under which a request has one effect, however often it is sent.

use std::fmt;
use std::str::FromStr;

use fleet_seam::Entropy;

/// The longest key the API takes, in characters.
const LONGEST: usize = 255;

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key has 1 to {LONGEST} printable ASCII characters and no spaces")]
pub struct KeyError;

/// The key of a request: the same one again has no second effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// One that nobody has used.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(format!("{:032x}", entropy.bits()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let good =
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Self(text.to_owned())).ok_or(KeyError)
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use fleet_seam::SeededEntropy;

    use super::*;

    #[test]
    fn keys_fit_into_a_header() {
        let own = IdempotencyKey::generate(&SeededEntropy::new(1));
        assert_eq!(own.as_str().parse(), Ok(own.clone()));
        assert_eq!(own.to_string().len(), 32);
        for (text, good) in [
            ("turn-7", true),
            (&"k".repeat(255), true),
            ("", false),
            (&"k".repeat(256), false),
            ("two words", false),
            ("ä", false),
            ("a\nb", false),
        ] {
            assert_eq!(text.parse::<IdempotencyKey>().is_ok(), good, "{text:?}");
        }
    }
}
