//! `config`: what a host would read, and the reference of all it could.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use toml::Value;

use super::table::table;
use crate::app::Context;
use crate::config::{self, Flags, Source, reference};
use crate::failure::Failure;
use fleet_client::Page;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the configuration and print what is in force, and where it comes from
    Check(CheckArgs),
    /// Print the reference of all keys, in Markdown
    #[command(hide = true)]
    Reference,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The file [env: FLEET_CONFIG] [default: fleet-host.toml in the data folder, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Does one of them.
pub(crate) fn run(command: Command, context: &mut Context) -> Result<(), Failure> {
    match command {
        Command::Check(args) => check(&args, context),
        Command::Reference => context.output.text(&reference::markdown()),
    }
}

/// One key, as it is in force.
#[derive(Debug, Serialize)]
struct Entry {
    key: &'static str,
    value: Option<Value>,
    source: String,
}

fn check(args: &CheckArgs, context: &mut Context) -> Result<(), Failure> {
    let data = context
        .global
        .data
        .as_ref()
        .map(|data| ("data", "--data", data.display().to_string()));
    let flags: Flags = data.into_iter().collect();
    let loaded = config::load(args.config.as_deref(), &flags, &context.environment)?;
    let entry = |(key, value, source): (&'static str, Option<Value>, Source)| Entry {
        key,
        value,
        source: source.to_string(),
    };
    let page = Page::complete(loaded.values.into_iter().map(entry).collect());
    context.output.answer(&page, || people(&page.items))?;
    // Refused or not, it is of use to see where each value comes from.
    config::check(&loaded.settings)
}

fn people(entries: &[Entry]) -> String {
    let shown = |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
    table(
        ["KEY", "VALUE", "SOURCE"],
        entries.iter().map(|entry| {
            [
                entry.key.to_owned(),
                shown(&entry.value),
                entry.source.clone(),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use crate::app::kept;
    use crate::cli::Global;

    use super::*;

    #[test]
    fn check_prints_values_with_their_sources() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("fleet-host.toml"),
            "heartbeat = \"2s\"\n",
        )
        .unwrap();
        let (mut context, out) = kept(Global {
            data: Some(folder.path().to_path_buf()),
            ..Global::default()
        });
        check(&CheckArgs { config: None }, &mut context).unwrap();
        let text = out.text();
        let line = |key: &str| {
            let line = text
                .lines()
                .find(|line| line.split_whitespace().next() == Some(key))
                .unwrap();
            line.split_whitespace()
                .skip(1)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            line("heartbeat"),
            [
                "\"2s\"".to_owned(),
                folder.path().join("fleet-host.toml").display().to_string()
            ]
        );
        assert_eq!(line("listen"), ["\"127.0.0.1:7300\"", "default"]);
        assert_eq!(line("data")[1], "--data");
        assert_eq!(line("plugins.dir"), ["-", "default"]);
    }

    #[test]
    fn check_refuses_what_run_refuses_and_shows_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fleet-host.toml");
        for (text, refusal) in [
            ("heartbeat = \"8s\"\n", "heartbeat"),
            ("listen = \"0.0.0.0:7300\"\n", "0.0.0.0:7300"),
        ] {
            std::fs::write(&file, text).unwrap();
            let (mut context, out) = kept(Global {
                data: Some(folder.path().to_path_buf()),
                ..Global::default()
            });
            let failure = check(&CheckArgs { config: None }, &mut context).unwrap_err();
            assert!(failure.message.contains(refusal), "{failure:?}");
            assert!(
                out.text().contains(&file.display().to_string()),
                "{}",
                out.text()
            );
        }
    }
}
