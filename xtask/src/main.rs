//! Build and test steps that take more than one cargo call.
//!
//! `cargo xtask COMMAND` runs from any folder of the clone. The crate uses the standard library
//! alone, so on a fresh machine it compiles in seconds and can say what it is about to do before
//! the long part starts. A command is one file: it exports a [`Command`], listed in [`COMMANDS`].
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a build tool times its steps and talks to the person who started it"
)]

mod areas;
mod assemble;
mod bench;
mod build;
mod engine;
mod generate;
mod run;
mod slow;
mod soak;
mod test;
mod toolchains;
mod tools;
mod workspace;

use std::process::ExitCode;
use workspace::Workspace;

/// One `cargo xtask` command.
struct Command {
    name: &'static str,
    summary: &'static str,
    /// What `--help` prints below the summary.
    usage: &'static str,
    run: fn(&Workspace, &[String]) -> Result<(), Failure>,
}

/// Why a command ends without success.
enum Failure {
    /// The command line is wrong: exit code 2.
    Usage(String),
    /// A step failed: exit code 1.
    Failed(String),
    /// A step failed, and the report on it is printed already: exit code 1.
    Reported,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

const COMMANDS: [&Command; 6] = [
    &build::COMMAND,
    &run::COMMAND,
    &test::COMMAND,
    &generate::COMMAND,
    &bench::COMMAND,
    &soak::COMMAND,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprintln!("error: {message}\nSee `cargo xtask --help`.");
            ExitCode::from(2)
        }
        Err(Failure::Failed(message)) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
        Err(Failure::Reported) => ExitCode::FAILURE,
    }
}

fn dispatch(arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        print_help();
        return Err(Failure::Usage("no command given".to_owned()));
    };
    if matches!(name.as_str(), "--help" | "-h" | "help") {
        print_help();
        return Ok(());
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Err(Failure::Usage(format!("there is no command `{name}`")));
    };
    let mut own = rest.iter().take_while(|argument| *argument != "--");
    if own.any(|flag| flag == "--help" || flag == "-h") {
        println!("{}\n\n{}", command.summary, command.usage);
        return Ok(());
    }
    (command.run)(&Workspace::locate()?, rest)
}

fn print_help() {
    println!("Build and test steps of this workspace.\n\nUsage: cargo xtask COMMAND [OPTIONS]\n");
    for command in COMMANDS {
        println!("  {:<10} {}", command.name, command.summary);
    }
    println!("\n`cargo xtask COMMAND --help` tells more.");
}

/// Tells the person at the terminal what happens next. Goes to standard error, so that the
/// standard output of a command holds its result only.
fn say(text: &str) {
    eprintln!("xtask: {text}");
}

/// Refuses any argument, for commands that take none.
fn no_arguments(arguments: &[String]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => Err(Failure::Usage(format!("unknown argument `{argument}`"))),
    }
}
