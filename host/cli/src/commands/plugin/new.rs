//! `plugin new`: a project for a plugin, out of this binary.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fleet_author::{Language, create};
use fleet_model::Name;
use serde::Serialize;

use crate::app::Context;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// What the plugin is called; the project is written into ./NAME
    name: Name,
    /// What it is to be written in
    #[arg(long, value_enum)]
    lang: Lang,
    /// What it extends
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
}

/// The languages.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    Rust,
    Python,
    Js,
    C,
}

/// What there are templates of.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Kind {
    /// How a workload is created, started, stopped and found again
    #[default]
    Backend,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    name: Name,
    language: &'static str,
    folder: PathBuf,
}

/// Writes it.
pub(crate) fn run(args: &NewArgs, context: &mut Context) -> Result<(), Failure> {
    let language = match args.lang {
        Lang::Rust => Language::Rust,
        Lang::Python => Language::Python,
        Lang::Js => Language::JavaScript,
        Lang::C => Language::C,
    };
    // There is one kind so far, so it decides nothing.
    let Kind::Backend = args.kind;
    let folder = create(Path::new("."), &args.name, language)?;
    let written = Written {
        name: args.name.clone(),
        language: language.as_str(),
        folder,
    };
    context
        .output
        .answer(&written, || people(&args.name, language))
}

fn people(name: &Name, language: Language) -> String {
    let (file, tools) = match language {
        Language::Rust => ("src/lib.rs", "rustup target add wasm32-wasip2"),
        Language::Python => (
            "src/plugin.py",
            "python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.0",
        ),
        Language::JavaScript => ("src/plugin.js", "npm install"),
        Language::C => (
            "src/plugin.c",
            "apt-get install make clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32",
        ),
    };
    format!(
        "{name}/ is a backend in {language}: its code is in {file}, what it asks for in plugin.toml.\n\
         \n  cd {name}\n  {tools}   # once\n  fleet-host plugin build\n  \
         fleet-host plugin test dist/{name}.wasm --grants grants.toml\n  \
         fleet-host plugin dev   # builds, tests and swaps on save\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_commands_are_told() {
        let name: Name = "harbour".parse().unwrap();
        for language in Language::ALL {
            let text = people(&name, language);
            assert!(text.contains("cd harbour\n"), "{text}");
            assert!(text.contains("fleet-host plugin build\n"), "{text}");
        }
    }
}
