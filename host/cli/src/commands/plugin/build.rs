//! `plugin build`: a project's component, in `dist`.

use std::path::{Path, PathBuf};

use clap::Args;
use fleet_author::{Built, Project, Toolbox, build};

use crate::app::Context;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::progress::Progress;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The project's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// Builds it.
pub(crate) fn run(args: &BuildArgs, context: &mut Context) -> Result<(), Failure> {
    let project = Project::open(&args.dir)?;
    let progress = Progress::begin(waiting(&project));
    let built = build(&project, &tools(&context.environment))?;
    drop(progress);
    context.output.answer(&built, || people(&built, &args.dir))
}

/// What is told while a toolchain works.
pub(super) fn waiting(project: &Project) -> String {
    format!("building {} ({})", project.manifest.name, project.language)
}

/// The programs of this machine.
pub(super) fn tools(environment: &Environment) -> Toolbox {
    Toolbox::new(environment.get("PATH").cloned())
}

/// What was built, as a person in this folder finds it.
pub(super) fn people(built: &Built, dir: &Path) -> String {
    let folder = dir.join("dist");
    let folder = folder.strip_prefix(".").unwrap_or(&folder);
    let beside = match built.policy {
        Some(_) => ", with its manifest and its policy",
        None => ", with its manifest",
    };
    format!(
        "{} {}  {}  {}{beside}\n",
        built.name,
        built.version,
        folder.join(format!("{}.wasm", built.name)).display(),
        size(built.bytes)
    )
}

/// A size in words: `49.1 KiB`.
fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    let (unit, name) = if bytes < KIB * KIB {
        (KIB, "KiB")
    } else {
        (KIB * KIB, "MiB")
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_is_told_in_a_line() {
        let mut built = Built {
            name: "harbour".into(),
            version: "0.1.0".into(),
            component: "/p/dist/harbour.wasm".into(),
            bytes: 50_278,
            manifest: "/p/dist/harbour.toml".into(),
            policy: None,
        };
        assert_eq!(
            people(&built, Path::new(".")),
            "harbour 0.1.0  dist/harbour.wasm  49.0 KiB, with its manifest\n"
        );
        built.bytes = 18_881_917;
        built.policy = Some("/p/dist/harbour.policy.toml".into());
        assert_eq!(
            people(&built, Path::new("p")),
            "harbour 0.1.0  p/dist/harbour.wasm  18.0 MiB, with its manifest and its policy\n"
        );
    }
}
