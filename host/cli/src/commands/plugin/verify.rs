//! `plugin verify`: the host's own checks, without a host.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use fleet_client::Page;
use fleet_model::plugin::{Plugin, PluginState};
use fleet_plugin::{CompileCommand, Grants, PluginHost, VerifyOptions};
use fleet_seam::{Clock as _, SystemClock};

use super::ls;
use crate::app::Context;
use crate::failure::{Exit, Failure};
use crate::workers::COMPILE;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A component (NAME.wasm, beside NAME.toml) or a folder of them
    path: PathBuf,
}

/// Takes it as far as a host would before using it.
pub(crate) async fn run(args: &VerifyArgs, context: &mut Context) -> Result<(), Failure> {
    // What it leaves behind is nobody's: a check changes nothing.
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::io("cannot make a temporary folder", &error))?;
    let options = VerifyOptions {
        data: folder.path().to_path_buf(),
        cache: None,
        grants: Grants::default(),
        grants_path: "grants.toml".into(),
        compile: CompileCommand {
            program: "/proc/self/exe".into(),
            args: vec![COMPILE.into()],
        },
        clock: Arc::new(SystemClock),
    };
    let plugins = PluginHost::verify(&args.path, options).await?;
    if plugins.is_empty() {
        return Err(
            Failure::usage(format!("there is no component in {}", args.path.display()))
                .help("name a NAME.wasm, or a folder with some in it"),
        );
    }
    let page = Page::complete(plugins);
    context
        .output
        .answer(&page, || ls::people(&page.items, SystemClock.unix_ms()))?;
    verdict(&page.items)
}

fn verdict(plugins: &[Plugin]) -> Result<(), Failure> {
    let rejected: Vec<_> = plugins
        .iter()
        .filter(|plugin| plugin.state == PluginState::Rejected)
        .collect();
    match rejected.as_slice() {
        [] => Ok(()),
        [one] => {
            let reason = one.reason.as_deref().unwrap_or("no reason given");
            Err(Failure::new(
                Exit::Failed,
                format!("{} would be rejected: {reason}", one.file),
            ))
        }
        many => Err(Failure::failed(format!(
            "{} files would be rejected",
            many.len()
        ))),
    }
}
