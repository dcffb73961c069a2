//! The compilers that plugins in other languages are built with: what is installed for the tests, and what is
//! said where it is not there.

use crate::say;
use crate::test::Missing;
use crate::tools::install;
use crate::workspace::{on_path, output};
use std::path::Path;
use std::process::Command;

/// How it is known that a package is installed.
enum Sign {
    /// A program on the path.
    Program(&'static str),
    /// A module that Python imports.
    Module(&'static str),
    /// A file.
    File(&'static str),
}

/// What authors need beside Rust, each with the Debian package that has it.
const NEEDED: [(Sign, &str); 9] = [
    (Sign::Program("python3"), "python3"),
    // Without it `python3 -m venv` is there and makes nothing.
    (Sign::Module("ensurepip"), "python3-venv"),
    (Sign::Program("node"), "nodejs"),
    (Sign::Program("npm"), "npm"),
    (Sign::Program("make"), "make"),
    (Sign::Program("clang-19"), "clang-19"),
    (Sign::Program("wasm-ld-19"), "lld-19"),
    (Sign::File("/usr/lib/wasm32-wasi/libc.a"), "wasi-libc"),
    (
        Sign::File("/usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a"),
        "libclang-rt-19-dev-wasm32",
    ),
];

impl Sign {
    fn is_seen(&self) -> bool {
        match self {
            Self::Program(name) => on_path(name).is_some(),
            Self::Module(name) => {
                let import = format!("import {name}");
                output(Command::new("python3").args(["-c", &import])).is_ok()
            }
            Self::File(path) => Path::new(path).is_file(),
        }
    }
}

/// Installs what is missing, or says how to get it: the tests that need it skip themselves.
pub(crate) fn provide(missing: Missing) -> Result<(), String> {
    let lacking: Vec<&str> = NEEDED
        .iter()
        .filter(|(sign, _)| !sign.is_seen())
        .map(|(_, package)| *package)
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let packages = lacking.join(" ");
    match missing {
        Missing::Install => {
            say(&format!(
                "installing {packages} for plugins in other languages"
            ));
            install(&lacking)
        }
        Missing::Skip => {
            say(&format!(
                "tests of plugins in other languages will be skipped in part; to get all: apt-get install {packages}"
            ));
            Ok(())
        }
    }
}

/// Tells tests whether a toolchain may be missing.
pub(crate) fn describe(missing: Missing, command: &mut Command) {
    if missing == Missing::Install {
        command.env("FLEET_TEST_TOOLCHAINS", "required");
    }
}
