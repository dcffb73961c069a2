//! `plugin sdk`: this host's SDK and contract, in the place of those a project has.

use std::path::PathBuf;

use clap::Args;
use fleet_author::{Project, renew};
use serde::Serialize;

use crate::app::Context;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct SdkArgs {
    /// The project's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// What was written.
#[derive(Serialize)]
struct Renewed {
    name: String,
    language: &'static str,
    /// The version of this host, whose contract it is.
    version: &'static str,
}

/// Writes them.
pub(crate) fn run(args: &SdkArgs, context: &mut Context) -> Result<(), Failure> {
    let project = Project::open(&args.dir)?;
    renew(&project)?;
    let renewed = Renewed {
        name: project.manifest.name.to_string(),
        language: project.language.as_str(),
        version: env!("CARGO_PKG_VERSION"),
    };
    context.output.answer(&renewed, || {
        format!(
            "{} has the {} SDK and the contract of fleet-host {}\n",
            renewed.name, renewed.language, renewed.version
        )
    })
}
