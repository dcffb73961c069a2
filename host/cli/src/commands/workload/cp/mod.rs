//! `workload cp`: files and folders, between this machine and a workload's workspace.
//!
//! A transfer that breaks goes on where it was, for as long as the client is patient. What is written is
//! whole or not there: at the host beside the workspace until it is, here beside its target. Both sides
//! compare SHA-256.

mod bar;
mod fetch;
mod local;
mod report;
mod send;
mod side;

use clap::Args;
use fleet_client::Client;

use crate::app::Context;
use crate::failure::Failure;
use crate::output::Output;
use report::Report;
use side::Side;
pub(super) use side::plain;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct CpArgs {
    /// Copy folders with all that is in them
    #[arg(long, short)]
    recursive: bool,
    /// What to copy: a path of this machine, - for standard input, or ID:PATH in a workload's workspace
    #[arg(value_name = "SRC")]
    from: Side,
    /// Where to: into a folder that is there, else as that file or folder; - for standard output
    #[arg(value_name = "DST")]
    to: Side,
}

/// What a copy works with.
struct Copy<'a> {
    client: Client,
    output: &'a mut Output,
    report: Report,
    folders: Folders,
}

/// What becomes of folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folders {
    /// They are copied.
    Copy,
    /// They are refused.
    Refuse,
}

/// Copies.
pub(crate) async fn run(args: CpArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    let mut copy = Copy {
        client,
        report: Report::new(&args.from, &args.to),
        folders: if args.recursive {
            Folders::Copy
        } else {
            Folders::Refuse
        },
        output: &mut context.output,
    };
    match (&args.from, &args.to) {
        (Side::Workload { .. }, Side::Workload { .. }) => {
            return Err(Failure::usage("both sides are in a workspace")
                .help("copy to this machine first, and from there"));
        }
        (Side::Workload { name, path, .. }, Side::Standard) => {
            // The answer is the file.
            if args.recursive {
                return Err(Failure::usage("a folder does not go to standard output")
                    .help("name a folder of this machine, or one file without --recursive"));
            }
            return copy.fetch_to_output(name, path).await;
        }
        (Side::Workload { name, path, .. }, Side::Local(target)) => {
            copy.fetch(name, path, target).await?;
        }
        (Side::Standard, Side::Workload { name, path, shape }) => {
            if args.recursive {
                return Err(Failure::usage("no folder comes from standard input")
                    .help("name a folder of this machine, or leave --recursive out"));
            }
            copy.send_input(name, path, *shape).await?;
        }
        (Side::Local(source), Side::Workload { name, path, shape }) => {
            copy.send(source, name, path, *shape).await?;
        }
        _ => {
            return Err(Failure::usage("no side is in a workspace")
                .help("name the workload on one side, as in `workload cp app.toml web:conf/app.toml`; a local path with a `:` begins with `./`"));
        }
    }
    copy.report.tell(context)
}

impl Copy<'_> {
    fn skip(&mut self, path: String, why: &str) -> Result<(), Failure> {
        self.output.warning(&format!("{path} is left out: {why}"))?;
        self.report.skipped.push(path);
        Ok(())
    }
}

/// A folder that was named without `--recursive`.
fn folder(path: &str) -> Failure {
    Failure::usage(format!("`{path}` is a folder"))
        .help("copy it with all that is in it: --recursive")
}
