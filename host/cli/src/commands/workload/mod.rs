//! `workload`: run programs and look after them.

mod extend;
#[cfg(test)]
mod fixture;
mod logs;
mod ls;
mod outcome;
mod packets;
mod rm;
mod run;
mod sample;
mod send;
mod settle;
mod show;
mod start;
mod stop;
mod trial;

use std::time::Duration;

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
}

/// How long the runtime below may take beyond its grace before somebody should look.
const SLACK: Duration = Duration::from_secs(60);

impl Ending {
    /// How long to wait for the end.
    fn patience(&self) -> Duration {
        self.grace
            .unwrap_or(Duration::from_millis(DEFAULT_GRACE_MS))
            + SLACK
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
        }
    })
}
