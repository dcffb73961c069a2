//! Compilers of plugin authors: whether they are on this machine.
//!
//! A test of one that is not there is left out, with a line how to get it; where `FLEET_TEST_TOOLCHAINS` is
//! `required`, as in CI, it fails instead.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A language that plugins are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolchain {
    /// cargo and rustup.
    Rust,
    /// A Python with venv.
    Python,
    /// Node and npm.
    JavaScript,
    /// clang for WebAssembly.
    C,
}

impl Toolchain {
    /// Its name on the command line of `plugin new`.
    #[must_use]
    pub fn lang(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "js",
            Self::C => "c",
        }
    }

    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["cargo", "rustup"],
            Self::Python => &["python3"],
            Self::JavaScript => &["node", "npm"],
            Self::C => &["make", "clang-19", "wasm-ld-19"],
        }
    }

    /// A command that succeeds where the programs have what they need beside themselves, and what it is.
    fn probe(self) -> Option<(&'static [&'static str], &'static str)> {
        match self {
            Self::Rust | Self::JavaScript => None,
            // Debian has `python3` without it, and `venv` fails then.
            Self::Python => Some((
                &["python3", "-c", "import ensurepip, venv"],
                "`ensurepip` of Python",
            )),
            // An empty reactor, linked: headers, libc and the builtins are there.
            Self::C => Some((
                &[
                    "clang-19",
                    "--target=wasm32-wasi",
                    "--sysroot=/usr",
                    "-mexec-model=reactor",
                    "-include",
                    "stdlib.h",
                    "-x",
                    "c",
                    "/dev/null",
                    "-o",
                    "/dev/null",
                ],
                "libc for WebAssembly",
            )),
        }
    }

    /// What is not here, as it is told.
    fn lacking(self) -> Option<String> {
        if let Some(name) = self.programs().iter().find(|name| on_path(name).is_none()) {
            return Some(format!("`{name}`"));
        }
        let (words, what) = self.probe()?;
        let status = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let is_here = status.is_ok_and(|status| status.success());
        (!is_here).then(|| what.to_owned())
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Rust => "https://rustup.rs",
            Self::Python => "apt-get install python3 python3-venv",
            Self::JavaScript => "apt-get install nodejs npm",
            Self::C => "apt-get install make clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32",
        }
    }

    /// Whether a test with it can run here; says so where it cannot.
    ///
    /// # Panics
    /// Where it must be there and is not.
    #[must_use]
    pub fn is_here(self) -> bool {
        let Some(lacking) = self.lacking() else {
            return true;
        };
        let line = format!("there is no {lacking}; to get it: {}", self.remedy());
        let is_required =
            std::env::var_os("FLEET_TEST_TOOLCHAINS").is_some_and(|it| it == "required");
        assert!(!is_required, "{line}");
        eprintln!("skipped: {line}");
        false
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
