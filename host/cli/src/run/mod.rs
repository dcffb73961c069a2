//! `run`: the host itself.
use clap::Args;
use crate::app::Context;
use crate::failure::Failure;
/// args
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[arg(long)] plugins: Option<std::path::PathBuf>,
    #[arg(long)] role: Option<String>,
    #[arg(long)] listen: Option<String>,
    #[arg(long)] grants: Option<String>,
    #[arg(long)] config: Option<String>,
}
/// run
pub(crate) fn run(_args: RunArgs, _context: &mut Context) -> Result<(), Failure> { Ok(()) }
