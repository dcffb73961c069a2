//! Sets of names as people write them: `["a", "b"]`, or `["*"]` for whichever there are.

use std::collections::BTreeSet;
use std::fmt;

use fleet_model::Name;
use fleet_model::name::NameError;
use serde::Deserialize;

/// Names, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Names(BTreeSet<Entry>);

/// One entry of such a set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
enum Entry {
    /// `"*"`.
    Any,
    Named(Name),
}

impl Names {
    /// Whether this name is among them.
    #[must_use]
    pub fn contains(&self, name: &Name) -> bool {
        self.has_any() || self.0.contains(&Entry::Named(name.clone()))
    }

    /// Whether `"*"` is among them.
    #[must_use]
    pub fn has_any(&self) -> bool {
        self.0.contains(&Entry::Any)
    }

    /// Those that are written out.
    pub fn named(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().filter_map(|entry| match entry {
            Entry::Named(name) => Some(name),
            Entry::Any => None,
        })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same and one more.
    #[must_use]
    pub(crate) fn with(&self, name: &Name) -> Self {
        let mut more = self.clone();
        more.0.insert(Entry::Named(name.clone()));
        more
    }
}

/// As it is written in a file: `["a", "b"]`.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.iter().map(|entry| match entry {
            Entry::Any => "\"*\"".to_owned(),
            Entry::Named(name) => format!("\"{name}\""),
        });
        write!(f, "[{}]", entries.collect::<Vec<_>>().join(", "))
    }
}

impl TryFrom<String> for Entry {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        if text == "*" {
            Ok(Self::Any)
        } else {
            text.parse().map(Self::Named)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Document {
        names: Names,
    }

    fn names(list: &str) -> Result<Names, toml::de::Error> {
        toml::from_str(&format!("names = {list}")).map(|document: Document| document.names)
    }

    #[test]
    fn a_set_holds_what_is_written_or_everything() {
        let (a, b): (Name, Name) = ("a".parse().unwrap(), "b".parse().unwrap());
        for (list, has_a, has_b) in [
            ("[]", false, false),
            ("[\"a\"]", true, false),
            ("[\"*\"]", true, true),
            ("[\"a\", \"*\"]", true, true),
        ] {
            let names = names(list).unwrap();
            assert_eq!((names.contains(&a), names.contains(&b)), (has_a, has_b));
        }
        assert!(names("[\"A b\"]").is_err());
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let b: Name = "b".parse().unwrap();
        let both = names("[\"c\"]").unwrap().with(&b);
        assert_eq!(both.to_string(), "[\"b\", \"c\"]");
        assert_eq!(names(&both.to_string()).unwrap(), both);
    }
}
