//! The names in braces and what a test puts in their place.

use std::collections::BTreeMap;

/// What each name stands for.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// Those every corpus has: long texts, and an id nobody has.
    #[must_use]
    pub fn new() -> Self {
        let mut names = Self::default();
        names.set("long", &"a".repeat(100_000));
        names.set("long-hex", &"0123456789abcdef".repeat(4));
        names.set("nobody", &"f00d".repeat(16));
        names
    }

    /// Lets a name, without its braces, stand for something.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(format!("{{{name}}}"), value.to_owned());
    }

    /// What a name stands for.
    ///
    /// # Panics
    /// When nobody has said it.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.get(&format!("{{{name}}}"));
        found.unwrap_or_else(|| panic!("the test does not say what {{{name}}} is"))
    }

    /// The text with all names replaced. Other braces stay, for JSON has many.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.0 {
            if filled.contains(name.as_str()) {
                filled = filled.replace(name.as_str(), value);
            }
        }
        filled
    }
}
