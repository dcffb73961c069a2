//! The languages a plugin can be written in with what this host carries. Any other that compiles to a
//! component of the contract does as well.

use std::fmt;
use std::path::Path;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust, with cargo.
    Rust,
    /// Python, with componentize-py.
    Python,
    /// JavaScript, with componentize-js.
    JavaScript,
    /// C, with clang.
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::Python, Self::JavaScript, Self::C];

    /// Its name on a command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "js",
            Self::C => "c",
        }
    }

    /// The file at the top of a project by which it is known.
    #[must_use]
    pub fn project_file(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Python => "pyproject.toml",
            Self::JavaScript => "package.json",
            Self::C => "Makefile",
        }
    }

    /// The language of the project in a folder, by the file of the first that is there.
    #[must_use]
    pub fn of(folder: &Path) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|language| folder.join(language.project_file()).is_file())
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_which() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Language::of(folder.path()), None);
        for language in Language::ALL {
            let file = folder.path().join(language.project_file());
            std::fs::write(&file, "").unwrap();
            assert_eq!(Language::of(folder.path()), Some(language));
            std::fs::remove_file(file).unwrap();
        }
    }
}
