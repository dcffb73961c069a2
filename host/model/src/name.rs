//! Names people choose, and the one rule for each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name or label value that breaks its rule; the text says the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a name.
    #[error(
        "`{0}` is not a name: use 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit, not ending with `-`"
    )]
    Name(String),
    /// Not a label key or value.
    #[error(
        "`{0}` is not a label key or value: use at most 128 of A-Z, a-z, 0-9, `-`, `_`, `.` and `/`, starting and ending with a letter or digit"
    )]
    Label(String),
}

/// The name of a workload, port, backend, plugin, launcher or node: a DNS label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
pub struct Name(String);

impl Name {
    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As part of an environment variable: upper case, `-` as `_`.
    #[must_use]
    pub fn as_variable(&self) -> String {
        self.0.to_uppercase().replace('-', "_")
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = (1..=63).contains(&text.len())
            && text.starts_with(inner)
            && text.ends_with(inner)
            && text.chars().all(|c| inner(c) || c == '-');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Name(shorten(text)))
        }
    }
}

/// A label key or value, as written by people: wider than a [`Name`], may be empty as a value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String))]
pub struct Label(String);

impl Label {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let edge = |c: char| c.is_ascii_alphanumeric();
        let good = text.is_empty()
            || (text.len() <= 128
                && text.starts_with(edge)
                && text.ends_with(edge)
                && text
                    .chars()
                    .all(|c| edge(c) || matches!(c, '-' | '_' | '.' | '/')));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Label(shorten(text)))
        }
    }
}

macro_rules! text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}
text!(Name);
text!(Label);

/// An error text stays readable whatever was typed.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 80 {
        text.to_owned()
    } else {
        text.chars().take(80).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "web", "web-1", "0x", &"a".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Web", "a_b", "a.b", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
        assert_eq!(
            "http-alt".parse::<Name>().unwrap().as_variable(),
            "HTTP_ALT"
        );
    }

    #[test]
    fn labels_are_wider() {
        for good in ["", "A", "example.com/role", "v1.2_3"] {
            assert!(good.parse::<Label>().is_ok(), "{good}");
        }
        for bad in [" a", "a b", "/a", "a=", &"a".repeat(129)] {
            assert!(bad.parse::<Label>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_endless_name_does_not_make_an_endless_error() {
        assert!(
            "A".repeat(1 << 20)
                .parse::<Name>()
                .unwrap_err()
                .to_string()
                .len()
                < 400
        );
    }
}
