//! `plugin test`: holds a backend to the conformance kit, without a host.

pub(super) mod view;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use clap::Args;
use fleet_capability::ShimCommand;
use fleet_conformance::{Kit, KitOptions, Report};
use fleet_plugin::CompileCommand;
use fleet_seam::{SystemClock, SystemEntropy};

use crate::app::Context;
use crate::commands::plugin::signals::told_to_end;
use crate::environment::Environment;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::usual;
use crate::workers::{COMPILE, SHIM};

/// This very program, also after another was put in its place.
const SELF: &str = "/proc/self/exe";

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The component, NAME.wasm beside NAME.toml
    file: PathBuf,
    /// What it may do, exactly [default: what its manifest asks for, in a temporary folder]
    #[arg(long, value_name = "FILE")]
    grants: Option<PathBuf>,
    /// Only these cases: a part of a name, or a pattern with * and ?
    #[arg(long, value_name = "PATTERN")]
    case: Option<String>,
}

/// Runs the cases and says what became of each.
pub(crate) fn run(args: &TestArgs, context: &mut Context) -> Result<(), Failure> {
    // Guests compute: one thread is not enough for several cases at a time.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot set up this command", &error))?;
    runtime.block_on(tested(args, context))
}

async fn tested(args: &TestArgs, context: &mut Context) -> Result<(), Failure> {
    let mut stop = pin!(told_to_end()?);
    let progress = Progress::begin("loading it");
    let (grants, case) = (args.grants.as_deref(), args.case.as_deref());
    let opened = Kit::open(options(&args.file, grants, case, &context.environment));
    let kit = tokio::select! {
        kit = opened => kit?,
        () = &mut stop => return Err(Failure::failed("interrupted")),
    };
    drop(progress);
    if !context.output.is_json() {
        context.output.text(&view::about(kit.about()))?;
    }
    let progress = Progress::begin("running the cases");
    let mut is_cut_off = false;
    let report = kit
        .run(async {
            stop.await;
            is_cut_off = true;
        })
        .await;
    drop(progress);
    context.output.answer(&report, || view::people(&report))?;
    verdict(&report)?;
    if is_cut_off {
        return Err(Failure::failed("interrupted: not all cases were played"));
    }
    Ok(())
}

/// What the kit needs to hold a component to some cases.
pub(super) fn options(
    file: &Path,
    grants: Option<&Path>,
    case: Option<&str>,
    environment: &Environment,
) -> KitOptions {
    KitOptions {
        file: file.to_owned(),
        grants: grants.map(Path::to_owned),
        pattern: case.map(str::to_owned),
        usual: usual::endpoints(environment),
        cache: cache(environment),
        shim: ShimCommand {
            program: SELF.into(),
            args: vec![SHIM.into()],
        },
        compile: CompileCommand {
            program: SELF.into(),
            args: vec![COMPILE.into()],
        },
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    }
}

/// Where compiled components are kept between two runs: `FLEET_CACHE`, else the user's cache folder
/// (XDG Base Directory Specification). Without either, nowhere.
fn cache(environment: &Environment) -> Option<PathBuf> {
    let named = environment.get("FLEET_CACHE").map(PathBuf::from);
    let absolute = |name| {
        let path = environment.get(name).map(Path::new);
        path.filter(|path| path.is_absolute())
            .map(Path::to_path_buf)
    };
    let user = || absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    named.or_else(|| Some(user()?.join("fleet-host/components")))
}

fn verdict(report: &Report) -> Result<(), Failure> {
    match (report.failed, report.cases.len()) {
        (0, _) => Ok(()),
        (failed, all) => Err(Failure::new(
            Exit::Failed,
            format!("{failed} of {all} cases failed"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_is_kept_where_caches_are() {
        let place = |variables: &[(&str, &str)]| {
            let environment = match variables {
                [] => Environment::default(),
                [one] => Environment::of([*one]),
                [one, two, ..] => Environment::of([*one, *two]),
            };
            cache(&environment).map(|path| path.display().to_string())
        };
        let home = ("HOME", "/home/a");
        for (variables, want) in [
            (&[][..], None),
            (&[home], Some("/home/a/.cache/fleet-host/components")),
            (
                &[home, ("XDG_CACHE_HOME", "/c")],
                Some("/c/fleet-host/components"),
            ),
            (
                &[home, ("XDG_CACHE_HOME", "c")],
                Some("/home/a/.cache/fleet-host/components"),
            ),
            (&[home, ("FLEET_CACHE", "/f")], Some("/f")),
        ] {
            assert_eq!(place(variables).as_deref(), want);
        }
    }
}
