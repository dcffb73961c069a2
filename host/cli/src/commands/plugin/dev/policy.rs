//! The policy of a project, which no swap brings along: an operator puts it beside the plugins.

use std::path::Path;

use fleet_author::Built;

use crate::failure::Failure;

/// The policy that was told of last; none at the begin.
#[derive(Debug, Default)]
pub(super) struct Policy(Option<Vec<u8>>);

impl Policy {
    /// The policy of what was built, if it is not the one that was told of last.
    ///
    /// What lies beside the plugins is not known here, so the first is always told of.
    pub(super) fn news<'a>(&mut self, built: &'a Built) -> Result<Option<&'a Path>, Failure> {
        let text = match &built.policy {
            Some(file) => Some(super::api::read(file)?),
            None => None,
        };
        if self.0 == text {
            return Ok(None);
        }
        self.0 = text;
        Ok(built.policy.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_told_of_once_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("harbour.policy.toml");
        let mut built = Built {
            name: "harbour".into(),
            version: "0.1.0".into(),
            component: folder.path().join("harbour.wasm"),
            bytes: 1,
            manifest: folder.path().join("harbour.toml"),
            policy: None,
        };
        let mut policy = Policy::default();
        assert_eq!(policy.news(&built).unwrap(), None);
        built.policy = Some(file.clone());
        for (text, want) in [("1", true), ("1", false), ("2", true), ("2", false)] {
            std::fs::write(&file, text).unwrap();
            let news = policy.news(&built).unwrap();
            assert_eq!(news, want.then_some(file.as_path()), "{text}");
        }
        // Gone, and back.
        built.policy = None;
        assert_eq!(policy.news(&built).unwrap(), None);
        built.policy = Some(file.clone());
        assert_eq!(policy.news(&built).unwrap(), Some(file.as_path()));
        std::fs::remove_file(&file).unwrap();
        assert!(policy.news(&built).is_err());
    }
}
