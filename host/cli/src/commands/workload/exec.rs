//! `workload exec`: a program beside a workload's own, as if it ran here.

use std::time::Duration;

use clap::Args;
use fleet_model::exec::{Exec, ExecInput, ExecSpec};

use super::beside::{self, Input};
use crate::app::Context;
use crate::failure::Failure;
use crate::spec::values;
use crate::time;

pub(super) const CODES: &str = "\
Exit codes:
  the program's own, but for
  124  its time was up (--timeout)
  125  this command failed
  126  the program cannot be executed
  127  there is no such program
  129  with --tty: the terminal went away; the program goes on
  130  left with a second Ctrl-C; the program goes on

Ctrl-C and other signals go to the program. With --tty, Ctrl-P Ctrl-Q leaves it.";

/// Its arguments.
#[derive(Debug, Args)]
#[command(after_help = CODES)]
pub(crate) struct ExecArgs {
    /// The workload's name or id
    #[arg(value_name = "ID")]
    name: String,
    /// Pass standard input on to it, to its end
    #[arg(long, short)]
    interactive: bool,
    /// Give it a terminal: this one, with every key passed on as it is typed
    #[arg(long, short)]
    tty: bool,
    /// Begin it and print its id; `workload attach` shows what it prints
    #[arg(long)]
    detach: bool,
    /// End it after so long [default: it may take as long as it wants]
    #[arg(long, value_name = "DURATION", value_parser = time::duration)]
    timeout: Option<Duration>,
    /// A variable over the workload's own environment; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::variable)]
    env: Vec<(String, String)>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// How long to go on while the host or the workload's node cannot be reached.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it.
pub(crate) async fn run(args: ExecArgs, context: &mut Context) -> Result<(), Failure> {
    let (name, detach) = (args.name.clone(), args.detach);
    let input = match (args.tty, args.interactive) {
        (true, _) => Input::Keys,
        (false, true) => Input::Stream,
        (false, false) => Input::None,
    };
    if input == Input::Keys && !detach && !beside::is_typed_at() {
        return Err(beside::own(no_terminal()));
    }
    let spec = spec(args, input, context.environment.text("TERM"));
    let client = context.client().map_err(beside::own)?;
    let begun = {
        let client = client.insisting(PATIENCE);
        client.exec(&name, &spec, &client.new_key()).await
    };
    let exec = begun.map_err(beside::not_begun)?;
    if detach {
        return context
            .output
            .answer(&exec, || format!("{}\n", exec.id))
            .map_err(beside::own);
    }
    let attachment = client.attach(exec.id, 0).patient();
    beside::stand_for(&exec, attachment, input, &mut context.output)
        .await
        .map_err(|failure| begun_already(beside::own(failure), &exec))
}

fn spec(args: ExecArgs, input: Input, term: Option<String>) -> ExecSpec {
    let mut env: std::collections::BTreeMap<_, _> = args.env.into_iter().collect();
    if let (Input::Keys, Some(term)) = (input, term) {
        // What it draws is drawn here.
        env.entry("TERM".to_owned()).or_insert(term);
    }
    ExecSpec {
        command: args.command,
        env,
        input: match input {
            Input::Keys | Input::Stream => ExecInput::Stream,
            Input::None => ExecInput::Null,
        },
        terminal: (input == Input::Keys).then(beside::size),
        timeout_ms: args
            .timeout
            .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn no_terminal() -> Failure {
    Failure::usage("--tty passes on what is typed at a terminal, and standard input is none")
        .help("leave --tty out; --interactive alone passes on a pipe or a file")
}

/// Where this command fails, the program may go on.
fn begun_already(failure: Failure, exec: &Exec) -> Failure {
    if failure.code != Some(beside::OWN) || failure.message.is_empty() || failure.help.is_some() {
        return failure;
    }
    let help = format!(
        "it was begun and may go on: `fleet-host workload attach {}` shows what it prints",
        exec.id
    );
    failure.help(help)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ExecArgs,
    }

    fn asked(line: &str, input: Input) -> ExecSpec {
        let words = std::iter::once("exec").chain(line.split_whitespace());
        let args = Line::try_parse_from(words).unwrap().args;
        spec(args, input, Some("xterm".to_owned()))
    }

    #[test]
    fn flags_become_what_is_asked_for() {
        let plain = asked("web --timeout 1m --env A=B=C -- ls -l", Input::None);
        assert_eq!(plain.command, ["ls", "-l"]);
        assert_eq!(plain.env["A"], "B=C");
        assert_eq!(plain.timeout_ms, Some(60_000));
        assert_eq!((plain.input, plain.terminal), (ExecInput::Null, None));
        assert!(!plain.env.contains_key("TERM"));
        let typed = asked("web -- sh", Input::Keys);
        assert_eq!(typed.env["TERM"], "xterm");
        assert_eq!(typed.input, ExecInput::Stream);
        assert!(typed.terminal.is_some());
        let own = asked("web --env TERM=dumb -- sh", Input::Keys);
        assert_eq!(own.env["TERM"], "dumb");
        assert_eq!(asked("web -- sh", Input::Stream).terminal, None);
    }
}
