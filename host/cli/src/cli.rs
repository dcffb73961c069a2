//! What can be typed.
//!
//! Each command's own arguments are in its file under [`crate::commands`]; here is what is above
//! them. Variables are read by hand ([`crate::environment`]), not by the parser, so that a value can
//! be told from its source and an empty one counts as absent.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{completions, config, events, plugin, secret, workload};
use crate::output::Format;
use crate::run;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or the program did
  2  what was typed or written is wrong
  3  what was named does not exist
  4  refused: not allowed, or not as things stand
  5  nobody answers, or not now";

/// Runs programs on machines you own, through WebAssembly backends.
#[derive(Debug, Parser)]
#[command(name = "fleet-host", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command; they may stand anywhere.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The host's address [env: FLEET_SERVER] [default: http://127.0.0.1:7300]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The file with the token for it [env: FLEET_TOKEN_FILE] [default: admin.token in the data folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The host's data folder [env: FLEET_DATA] [default: $XDG_DATA_HOME/fleet-host, for root /var/lib/fleet-host]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The form of the answer; `json` is the API's objects
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORM",
        hide_possible_values = false
    )]
    pub(crate) output: Format,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the host
    Run(run::RunArgs),
    /// Run programs and look after them
    #[command(subcommand, visible_alias = "wl")]
    Workload(workload::Command),
    /// Keep values that workloads use and nobody is shown
    #[command(subcommand)]
    Secret(secret::Command),
    /// See what the host found in its plugin folder, and why
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Show what happened
    Events(events::EventsArgs),
    /// Check the configuration of a host
    #[command(subcommand)]
    Config(config::Command),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Print the API's description
    #[cfg(feature = "controller")]
    #[command(hide = true)]
    Openapi,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("fleet-host").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_anywhere() {
        for line in [
            "--server http://h:1 --output json workload ls",
            "workload --server http://h:1 --output json ls",
            "workload ls --output json --server http://h:1",
        ] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.global.server.as_deref(), Some("http://h:1"), "{line}");
            assert_eq!(cli.global.output, Format::Json, "{line}");
        }
    }

    #[test]
    fn the_commands_of_the_manual_are_understood() {
        for line in [
            "run --plugins p --role all --data d --listen 127.0.0.1:0 --grants g --policy-trace t --config c",
            "workload run --name n --backend b --env K=V --env E= --port http --port dns=53 --label a=b --wait -f - -- sh -c x",
            "workload run --from w.toml --secret TOKEN=api-token --file conf/a.toml=./a.toml -- true",
            "workload run --restart on-failure --ttl 1h --cpu 0.5 --memory 64MiB --processes 9 --disk 1G --log 8M -- true",
            "workload run --dry-run -- true",
            "workload run --wait --timeout 30s -- true",
            "workload run -- true",
            "workload sample",
            "workload extend web 30m",
            "workload send web go",
            "workload send web -",
            "workload send web",
            "workload send web go --wait-packet 30s --key turn-7",
            "workload packets web --follow --after 7 --output json",
            "secret set token",
            "secret set token --exact",
            "secret ls",
            "secret rm token --force",
            "workload ls",
            "workload show web",
            "workload stop web --grace 5s",
            "workload stop web --no-wait",
            "workload start web",
            "workload start web --timeout 2m",
            "workload rm a b c --grace 1s",
            "workload rm --all",
            "workload rm a --timeout 5s",
            "workload stop a --timeout 5s",
            "workload execs rm ex_01aryz6s41tsv4rrffq69g5fav_00000000000000ab",
            "workload logs web --follow --since 5m --tail 10 --timestamps",
            "workload logs web --cursor 3.104 --show-cursor",
            "workload stats",
            "workload stats --follow --output json",
            "workload stats web --history --follow",
            "workload port-forward web 8080:http",
            "workload port-forward web :http 9100 metrics --address 127.0.0.2",
            "workload signal web HUP",
            "workload signal web sigusr1 --key k",
            "workload exec web -- ls -l",
            "workload exec web -i -t --env A=B --timeout 30s -- sh",
            "workload exec web -it -- sh",
            "workload exec web --detach --output json -- sleep 9",
            "workload attach ex_01aryz6s41tsv4rrffq69g5fav_00000000000000ab --after 7 -i",
            "workload execs web",
            "plugin ls",
            "plugin show native --effective",
            "plugin show native --node attic",
            "plugin swap mock next/mock.wasm",
            "plugin swap mock next/mock.wasm --dry-run --one-way --lenient --node attic --output json",
            "plugin rollback mock --node attic",
            "plugin history mock --output json",
            "plugin unquarantine 0123456789abcdef",
            "plugin verify target/plugins/native.wasm",
            "plugin test target/plugins/native.wasm",
            "plugin test native.wasm --grants g.toml --case exit-* --output json",
            "plugin new harbour --lang rust",
            "plugin new harbour --lang js --kind backend --output json",
            "plugin build",
            "plugin build harbour",
            "plugin dev",
            "plugin dev harbour --grants g.toml --case exit-*",
            "plugin dev --once --no-test",
            "plugin sdk harbour",
            "plugin contract",
            "events --follow",
            "config check --config f",
            "config reference",
            "completions bash",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_is_below_zero_is_a_wrong_value_and_not_a_flag() {
        for (line, want) in [
            ("workload run --cpu -1 -- true", "0.01"),
            ("workload run --memory -64MiB -- true", "64MiB"),
            ("workload run --processes -1 -- true", "--processes"),
            ("workload run --ttl -5s -- true", "90s"),
            ("workload stop web --grace -5s", "10s"),
            ("workload extend web -5", "90s"),
            ("workload packets web --after -1", "--after"),
            ("workload logs web --tail -1", "a number of lines"),
            ("workload logs web --tail x", "a number of lines"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{line}: {error}");
            assert!(error.to_string().contains(want), "{line}: {error}");
        }
    }

    #[test]
    fn typing_errors_are_usage_errors_that_name_what_was_meant() {
        for (line, want) in [
            ("workload run --nmae web -- true", "--name"),
            ("worklaod ls", "workload"),
            ("workload lst", "ls"),
            ("--output jsn workload ls", "json"),
            ("workload run --env NAME -- true", "KEY=VALUE"),
            ("workload run --port Http -- true", "is not a name"),
            ("workload run --port http=99999 -- true", "65535"),
            ("workload run --port 80 -- true", "web=80"),
            ("workload run --port 80=80 -- true", "web=80"),
            ("workload stop web --grace soon", "10s"),
            ("workload run --restrat always -- true", "--restart"),
            ("workload run --memroy 1G -- true", "--memory"),
            ("workload run --dryrun -- true", "--dry-run"),
            ("workload run --secrt A=a -- true", "--secret"),
            ("workload run --restart alwys -- true", "always"),
            ("workload run --dry-run --wait -- true", "--wait"),
            ("workload run --timeout 5s -- true", "--wait"),
            ("workload start web --timeout soon", "10s"),
            ("workload extend web 30", "30m"),
            ("workload extnd web 30m", "extend"),
            ("workload packts web", "packets"),
            ("workload packets web --folow", "--follow"),
            ("workload send web go --wait-packt 5s", "--wait-packet"),
            ("workload send web go --wait-packet soon", "10s"),
            ("workload send web go --key ä", "printable ASCII"),
            ("workload logs web --cursor 1.0 --tail 5", "--tail"),
            ("workload stats --history", "ID"),
            ("workload port-forward web", "LOCAL:PORT"),
            ("workload port-forward web http:8080", ":http"),
            ("workload signal web", "SIGNAL"),
            ("workload signal web HUPP", "HUP, ILL"),
            ("workload exec web", "COMMAND"),
            ("workload exec web -- ", "COMMAND"),
            ("workload exec web ls", "-- <COMMAND>"),
            ("workload exec web --env A -- ls", "KEY=VALUE"),
            ("workload exec web --timeout soon -- ls", "10s"),
            ("workload exec web --dettach -- ls", "--detach"),
            ("workload attach web", "ex_"),
            ("plugin test", "FILE"),
            ("plugin swap mock", "FILE"),
            ("plugin swap mock f.wasm --dryrun", "--dry-run"),
            ("plugin rollbak mock", "rollback"),
            ("plugin unquarantine", "DIGEST"),
            ("plugin new harbour", "--lang"),
            ("plugin new Harbour --lang c", "Harbour"),
            ("plugin new harbour --lang go", "python"),
            ("plugin dev --no-test --case x", "--case"),
            ("plugin test a.wasm --cases x", "--case"),
            ("secrt ls", "secret"),
            ("secret rmm a", "rm"),
            ("secret rm a --forc", "--force"),
            ("workload rm", "--all"),
            ("workload rm a --all", "--all"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(want), "{line}: {error}");
        }
        assert_eq!(parse("--help").unwrap_err().kind(), ErrorKind::DisplayHelp);
        assert!(
            parse("--help")
                .unwrap_err()
                .to_string()
                .contains("Exit codes:")
        );
    }
}
