//! Secrets among the permissions: sets of names on all three sides, with `"*"` for all of them.

use std::collections::BTreeSet;

use fleet_model::Name;

use super::Verdict;
use crate::names::Names;

/// What is asked, granted and left of secrets.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets {
    pub(super) asked: Names,
    pub(super) granted: Names,
    /// The only ones that may be granted; absent = whichever.
    pub(super) ceiling: Option<Names>,
    /// Where a line would go.
    pub(super) place: Place,
}

/// Where the line that grants one goes.
#[derive(Debug, Clone, Default)]
pub(super) enum Place {
    /// The plugin has no table.
    #[default]
    NewTable,
    /// It has one.
    Table,
    /// It has one, for another component: this line would make it this one's.
    Elsewhere(String),
}

impl Secrets {
    /// What is decided about one.
    pub(super) fn verdict(&self, plugin: &Name, name: &Name) -> Verdict {
        Verdict {
            requested: self.asked.contains(name),
            granted: self.granted.contains(name).then(|| self.line()),
            above_ceiling: self.is_above(name),
            remedy: self.remedy(plugin, &format!("[\"{name}\"]"), || {
                self.granted.with(name).to_string()
            }),
        }
    }

    /// Whether a person wrote this name down, on whatever side.
    pub(super) fn is_named(&self, name: &Name) -> bool {
        self.asked
            .named()
            .chain(self.granted.named())
            .any(|known| known == name)
    }

    /// All that can be shown: each name that somebody wrote, and `*` where that is what is asked or
    /// granted.
    pub(super) fn rows(&self, plugin: &Name) -> Vec<(String, Verdict)> {
        let mut rows = Vec::new();
        // Asked for all and granted some, the ones that are granted say all there is to say.
        if self.granted.has_any() || (self.asked.has_any() && self.granted.is_empty()) {
            let all = Verdict {
                requested: self.asked.has_any(),
                granted: self.granted.has_any().then(|| self.line()),
                above_ceiling: self
                    .ceiling
                    .as_ref()
                    .is_some_and(|ceiling| !ceiling.has_any()),
                remedy: self.remedy(plugin, "[\"*\"]", || "[\"*\"]".to_owned()),
            };
            rows.push(("secret *".to_owned(), all));
        }
        let left = self.ceiling.iter().flat_map(Names::named);
        let left = left.filter(|_| self.asked.has_any() && self.granted.has_any());
        let names: BTreeSet<&Name> = self
            .asked
            .named()
            .chain(self.granted.named())
            .chain(left)
            .collect();
        rows.extend(
            names
                .into_iter()
                .map(|name| (format!("secret {name}"), self.verdict(plugin, name))),
        );
        rows
    }

    fn is_above(&self, name: &Name) -> bool {
        self.ceiling
            .as_ref()
            .is_some_and(|ceiling| !ceiling.contains(name))
    }

    fn line(&self) -> String {
        format!("secrets = {}", self.granted)
    }

    fn remedy(&self, plugin: &Name, alone: &str, together: impl FnOnce() -> String) -> String {
        match &self.place {
            Place::Elsewhere(line) => line.clone(),
            Place::NewTable => format!("[{plugin}]\nsecrets = {alone}"),
            Place::Table if self.granted.is_empty() => {
                format!("secrets = {alone}   # in the table [{plugin}]")
            }
            Place::Table => format!(
                "secrets = {}   # in the table [{plugin}], instead of the line there",
                together()
            ),
        }
    }
}
