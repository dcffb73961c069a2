//! From arguments to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::{Cli, Command, Global};
use crate::commands::{completions, config, events, plugin, secret, workload};
use crate::environment::Environment;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{connect, run};

/// What every command works with.
pub(crate) struct Context {
    /// The flags of every command.
    pub(crate) global: Global,
    /// The variables.
    pub(crate) environment: Environment,
    /// Where answers go.
    pub(crate) output: Output,
}

impl Context {
    /// A client of the host that was named.
    pub(crate) fn client(&self) -> Result<fleet_client::Client, Failure> {
        connect::client(&self.global, &self.environment)
    }
}

/// Does what was typed.
pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    let wrong = workload::usage_code(&arguments).unwrap_or(Exit::Usage as u8);
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&workload::hinted(error, &arguments), wrong),
    };
    let output = Output::of_process(cli.global.output);
    let mut context = Context {
        global: cli.global,
        environment: Environment::of_process(),
        output,
    };
    let code = match dispatch(cli.command, &mut context) {
        Ok(()) => Exit::Done as u8,
        Err(failure) => {
            let failure = explained(failure, &context);
            let exit = context.output.failure(&failure);
            failure.code.unwrap_or(exit as u8)
        }
    };
    ExitCode::from(code)
}

fn dispatch(command: Command, context: &mut Context) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(args, context),
        Command::Workload(command) => workload::run(command, context),
        Command::Secret(command) => secret::run(command, context),
        Command::Plugin(command) => plugin::run(command, context),
        Command::Events(args) => block_on(events::run(&args, context)),
        Command::Config(command) => config::run(command, context),
        Command::Completions(args) => completions::run(&args, context),
        #[cfg(feature = "controller")]
        Command::Openapi => context
            .output
            .text(&fleet_controller::Controller::openapi()),
    }
}

/// Runs a command that asks the API: one thread is enough.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot set up this command", &error))?;
    runtime.block_on(work)
}

/// Help and versions are answers; all else is a usage error, in the parser's words and with this code.
fn not_parsed(error: &clap::Error, wrong: u8) -> ExitCode {
    let asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    // The parser colours its words where the stream is a terminal. A closed one has read enough.
    let _ = error.print();
    ExitCode::from(if asked_for { Exit::Done as u8 } else { wrong })
}

/// A refused token is told with the place it came from, which only this side knows.
fn explained(mut failure: Failure, context: &Context) -> Failure {
    if failure.unauthenticated
        && let Some(place) = connect::token_place(&context.global, &context.environment)
    {
        let place = (place.display(), place.exists());
        failure.message = match place {
            (place, true) => format!("the host does not take the token in {place}"),
            (place, false) => format!("the host asks for a token, and there is none at {place}"),
        };
    }
    failure
}

/// A context whose output is kept, for tests.
#[cfg(test)]
pub(crate) fn kept(global: Global) -> (Context, Kept) {
    let (out, err) = (Kept::default(), Kept::default());
    let output = Output::to(global.output, out.clone(), err);
    let context = Context {
        global,
        environment: Environment::default(),
        output,
    };
    (context, out)
}

/// Output that can be read back.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Kept(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

#[cfg(test)]
impl Kept {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }
}

#[cfg(test)]
impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
