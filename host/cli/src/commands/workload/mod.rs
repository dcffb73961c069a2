//! `workload`: run programs and look after them.

mod attach;
mod beside;
mod cp;
mod exec;
mod execs;
mod extend;
mod files;
#[cfg(test)]
mod fixture;
mod logs;
mod ls;
mod obstacles;
mod outcome;
mod packets;
mod port_forward;
mod rm;
mod run;
mod sample;
mod send;
mod settle;
mod show;
mod signal;
mod start;
mod stats;
mod stop;
mod trial;

use std::ffi::OsString;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Subcommand};
use fleet_model::workload::DEFAULT_GRACE_MS;

use crate::app::{Context, block_on};
use crate::failure::Failure;
use crate::time;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a program
    Run(Box<run::RunArgs>),
    /// Print a workload file with every key, to begin with
    Sample,
    /// List workloads
    #[command(visible_alias = "list")]
    Ls,
    /// Show all that is known of a workload
    Show(show::ShowArgs),
    /// End a workload's program; its files and logs stay
    Stop(stop::StopArgs),
    /// Run a workload's program again
    Start(start::StartArgs),
    /// Put off the end of a workload that has a ttl
    Extend(extend::ExtendArgs),
    /// Give a workload a command on its input, and wait for the packet that answers it
    Send(send::SendArgs),
    /// Print the packets a workload emitted, one JSON document a line
    Packets(packets::PacketsArgs),
    /// Remove workloads with their files; what runs is ended first
    Rm(rm::RmArgs),
    /// Print what a workload printed
    Logs(logs::LogsArgs),
    /// Show what workloads use: processors, memory, processes, disk
    Stats(stats::StatsArgs),
    /// Bring a workload's port to this machine, until Ctrl-C
    PortForward(port_forward::PortForwardArgs),
    /// Copy files between this machine and a workload's workspace
    Cp(cp::CpArgs),
    /// Look at the files in a workload's workspace, and move or remove them
    #[command(subcommand)]
    Files(files::Command),
    /// Send a workload's program a signal
    Signal(signal::SignalArgs),
    /// Run a program beside a workload's, and exit with its code
    Exec(exec::ExecArgs),
    /// Attach to a program beside a workload's
    Attach(attach::AttachArgs),
    /// List the programs beside a workload's
    Execs(execs::ExecsArgs),
}

/// How to end something.
#[derive(Debug, Args)]
pub(crate) struct Ending {
    /// How long the end may take before it becomes a kill [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = time::duration, allow_hyphen_values = true)]
    grace: Option<Duration>,
    /// Return once the host has accepted it
    #[arg(long)]
    no_wait: bool,
    /// Wait so long at most; the host goes on trying all the same [default: the grace and a minute]
    #[arg(long, value_name = "DURATION", value_parser = time::duration, allow_hyphen_values = true, conflicts_with = "no_wait")]
    timeout: Option<Duration>,
}

/// How long the runtime below may take beyond its grace before somebody should look.
const SLACK: Duration = Duration::from_secs(60);

impl Ending {
    /// How long to wait for the end.
    fn patience(&self) -> Duration {
        let grace = self
            .grace
            .unwrap_or(Duration::from_millis(DEFAULT_GRACE_MS));
        self.timeout.unwrap_or(grace + SLACK)
    }
}

/// Does one of them.
pub(crate) fn run(command: Command, context: &mut Context) -> Result<(), Failure> {
    block_on(async {
        match command {
            Command::Run(args) => run::run(*args, context).await,
            Command::Sample => sample::run(context),
            Command::Extend(args) => extend::run(&args, context).await,
            Command::Send(args) => send::run(args, context).await,
            Command::Packets(args) => packets::run(&args, context).await,
            Command::Ls => ls::run(context).await,
            Command::Show(args) => show::run(&args, context).await,
            Command::Stop(args) => stop::run(&args, context).await,
            Command::Start(args) => start::run(&args, context).await,
            Command::Rm(args) => rm::run(&args, context).await,
            Command::Logs(args) => logs::run(&args, context).await,
            Command::Cp(args) => cp::run(args, context).await,
            Command::Files(command) => files::run(command, context).await,
            Command::Exec(args) => exec::run(args, context).await,
            Command::Attach(args) => attach::run(&args, context).await,
            Command::Execs(args) => execs::run(&args, context).await,
            Command::Stats(args) => stats::run(&args, context).await,
            Command::PortForward(args) => port_forward::run(&args, context).await,
            Command::Signal(args) => signal::run(args, context).await,
        }
    })
}

/// Which command of workloads was typed, if one was.
fn typed(arguments: &[OsString]) -> Option<&str> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_str());
    let mut next = || loop {
        match words.next()?? {
            // Flags of every command, with their values.
            "--server" | "--token-file" | "--data" | "--output" => drop(words.next()),
            flag if flag.starts_with('-') => {}
            word => return Some(word),
        }
    };
    next().filter(|word| matches!(*word, "workload" | "wl"))?;
    next()
}

/// The exit code for a command line that cannot be understood, where it is not that of all others: it
/// must not be taken for that of a program beside a workload.
pub(crate) fn usage_code(arguments: &[OsString]) -> Option<u8> {
    matches!(typed(arguments)?, "exec" | "attach").then_some(beside::OWN)
}

/// Says where a program stands, to whoever typed one without the `--` before it.
pub(crate) fn hinted(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if !word.starts_with('-') => word.clone(),
        _ => return error,
    };
    let takes_program = matches!(typed(arguments), Some("exec" | "run"));
    if takes_program && error.kind() == ErrorKind::UnknownArgument {
        let hint = format!("the program and its arguments stand after `--`: `-- {word} ...`");
        let hints = ContextValue::StyledStrs(vec![hint.into()]);
        error.insert(ContextKind::Suggested, hints);
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_program_without_the_dashes_before_it_is_told_of_them() {
        for (line, is_hinted) in [
            ("workload exec web ls", true),
            ("wl exec web ls -l", true),
            ("workload run --name web ls", true),
            ("workload exec web --dettach -- ls", false),
            ("workload show web ls", false),
        ] {
            let words = std::iter::once("fleet-host").chain(line.split(' '));
            let words: Vec<OsString> = words.map(OsString::from).collect();
            let error = Cli::try_parse_from(&words).unwrap_err();
            let text = hinted(error, &words).to_string();
            assert_eq!(text.contains("`-- ls ...`"), is_hinted, "{line}: {text}");
        }
    }

    #[test]
    fn only_what_exits_as_a_program_does_has_another_code_for_what_was_typed_wrong() {
        for (line, code) in [
            ("workload exec", Some(125)),
            ("--server http://h:1 wl --output json attach", Some(125)),
            ("--output=json workload exec web --nope", Some(125)),
            ("workload show exec", None),
            ("exec web", None),
            ("workload", None),
        ] {
            let words = std::iter::once("fleet-host").chain(line.split(' '));
            let words: Vec<OsString> = words.map(OsString::from).collect();
            assert_eq!(usage_code(&words), code, "{line}");
        }
    }
}
