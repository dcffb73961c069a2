//! `plugin dev`: a project that is built, tested and put into use whenever one of its files is saved.
//!
//! A round that fails is told and changes nothing: the code that served before goes on serving. The next save
//! begins the next round. A signal ends what the kit has started before it ends this.

mod api;
mod policy;
mod round;
mod told;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use fleet_author::{Project, Sources};
use fleet_seam::{Clock as _, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::app::Context;
use crate::commands::plugin::signals::told_to_end;
use crate::failure::Failure;
use policy::Policy;

/// How often it looks whether something was saved.
const LOOK: Duration = Duration::from_millis(250);

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// The project's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// What it may do while it is tested, exactly [default: its grants.toml, else what its manifest asks for]
    #[arg(long, value_name = "FILE")]
    grants: Option<PathBuf>,
    /// Test with these cases only: a part of a name, or a pattern with * and ?
    #[arg(long, value_name = "PATTERN", conflicts_with = "no_test")]
    case: Option<String>,
    /// Swap without a test
    #[arg(long)]
    no_test: bool,
    /// One round, then end
    #[arg(long)]
    once: bool,
}

/// What a round leaves to the next.
#[derive(Debug, Default)]
struct Known {
    /// The sources it was built from.
    sources: Sources,
    /// The policy that was told of.
    policy: Policy,
}

/// How a round ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Played {
    /// Its code serves.
    ToTheEnd,
    /// Told to end in between.
    BrokenOff,
}

/// Goes round until it is interrupted.
pub(crate) fn run(args: &DevArgs, context: &mut Context) -> Result<(), Failure> {
    // The kit computes: one thread is not enough for several cases at a time.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot set up this command", &error))?;
    runtime.block_on(rounds(args, context))
}

async fn rounds(args: &DevArgs, context: &mut Context) -> Result<(), Failure> {
    // A folder that is no project is a mistake in the command; later it is one in the project.
    Project::open(&args.dir)?;
    let stop = CancellationToken::new();
    let (told, ends) = (told_to_end()?, stop.clone());
    tokio::spawn(async move {
        told.await;
        ends.cancel();
    });
    let mut known = Known::default();
    loop {
        // Looked at before, so that what is saved during a round begins another.
        known.sources = Sources::of(&args.dir);
        match round::play(args, context, &stop, &mut known).await {
            Ok(Played::BrokenOff) if args.once => {
                return Err(Failure::failed("interrupted: nothing was swapped"));
            }
            Ok(Played::BrokenOff) => return Ok(()),
            done if args.once => return done.map(|_| ()),
            Ok(Played::ToTheEnd) => {}
            Err(failure) => {
                context.output.failure(&failure);
            }
        }
        told::watching(context, &args.dir)?;
        let changed = tokio::select! {
            changed = changed(&args.dir, &known.sources) => changed,
            () = stop.cancelled() => return Ok(()),
        };
        told::saved(context, &changed)?;
    }
}

/// The first file that is not as it was.
async fn changed(folder: &Path, before: &Sources) -> PathBuf {
    loop {
        if let Some(file) = Sources::of(folder).changed(before) {
            return file.to_owned();
        }
        SystemClock.sleep(LOOK).await;
    }
}
