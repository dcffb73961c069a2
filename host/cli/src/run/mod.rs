//! `run`: the host itself.
//!
//! | room | what happens there |
//! |---|---|
//! | [`ballast`] | room kept back for the moment when the disk is full |
//! | [`data`] | the data folder: its owner, its lock, the admin token |
//! | [`grants`] | what plugins may do, and the file a first start writes |
//! | [`listen`] | the address of the API |
//! | [`http`] | the API's connections, bounded |
//! | [`parts`] | the parts of a host, made and joined |
//! | [`points`] | where a test may end the process |
//! | [`running`] | the parts at work: started, watched, stopped in order |
//! | [`serve`] | the life of a host: up, ready, told to stop |
//! | [`screen`] | what a person reads of it |
//!
//! What can be refused is refused before anything is changed; then the folder is locked, and only
//! then is anything opened.

#[cfg(all(feature = "controller", feature = "node"))]
mod ballast;
#[cfg(all(feature = "controller", feature = "node"))]
mod data;
#[cfg(all(feature = "controller", feature = "node"))]
mod grants;
#[cfg(all(feature = "controller", feature = "node"))]
mod http;
#[cfg(all(feature = "controller", feature = "node"))]
mod listen;
#[cfg(all(feature = "controller", feature = "node"))]
mod parts;
#[cfg(all(feature = "controller", feature = "node"))]
mod points;
#[cfg(all(feature = "controller", feature = "node"))]
mod running;
#[cfg(all(feature = "controller", feature = "node"))]
mod screen;
#[cfg(all(feature = "controller", feature = "node"))]
mod serve;
#[cfg(all(feature = "controller", feature = "node"))]
mod signals;

use std::path::PathBuf;

use clap::Args;

use crate::app::Context;
use crate::config::{self, Flags, LogFormat, Role, Settings};
#[cfg(not(all(feature = "controller", feature = "node")))]
use crate::failure::Exit;
use crate::failure::Failure;

/// Its arguments. `--data` is a global flag.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The folder with the plugins: NAME.wasm beside NAME.toml [env: FLEET_PLUGINS_DIR]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// Which parts of the host run in this process [env: FLEET_ROLE] [default: all]
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Where the API listens, on loopback; port 0 is any that is free [env: FLEET_LISTEN] [default: 127.0.0.1:7300]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// What each plugin may do [env: FLEET_GRANTS] [default: grants.toml in the data folder, written if it is not there]
    #[arg(long, value_name = "FILE")]
    grants: Option<PathBuf>,
    /// Write what plugins ask of endpoints, and what would allow it, to this file [env: FLEET_POLICY_TRACE]
    #[arg(long, value_name = "FILE")]
    policy_trace: Option<PathBuf>,
    /// The configuration [env: FLEET_CONFIG] [default: fleet-host.toml in the data folder, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl RunArgs {
    fn flags(&self, data: Option<&PathBuf>) -> Flags {
        let path = |path: &PathBuf| path.display().to_string();
        let all = [
            (
                "role",
                "--role",
                self.role.map(|role| role.as_str().to_owned()),
            ),
            ("data", "--data", data.map(path)),
            ("listen", "--listen", self.listen.clone()),
            ("grants", "--grants", self.grants.as_ref().map(path)),
            (
                "policy_trace",
                "--policy-trace",
                self.policy_trace.as_ref().map(path),
            ),
            ("plugins.dir", "--plugins", self.plugins.as_ref().map(path)),
        ];
        all.into_iter()
            .filter_map(|(key, flag, value)| Some((key, flag, value?)))
            .collect()
    }
}

/// Runs a host until it is told to stop.
pub(crate) fn run(args: RunArgs, context: &mut Context) -> Result<(), Failure> {
    let flags = args.flags(context.global.data.as_ref());
    let settings = config::load(args.config.as_deref(), &flags, &context.environment)?.settings;
    config::check(&settings)?;
    log_to_stderr(&settings)?;
    host(settings, context)
}

#[cfg(all(feature = "controller", feature = "node"))]
fn host(settings: Settings, context: &mut Context) -> Result<(), Failure> {
    serve::host(settings, context)
}

#[cfg(not(all(feature = "controller", feature = "node")))]
fn host(_settings: Settings, _context: &mut Context) -> Result<(), Failure> {
    let lacks = if cfg!(feature = "node") {
        "controller"
    } else {
        "node"
    };
    Err(Failure::new(
        Exit::Refused,
        format!("this build has no {lacks}, so it cannot run `--role all`"),
    )
    .help("use a build with the features `controller` and `node`, which are on by default"))
}

fn log_to_stderr(settings: &Settings) -> Result<(), Failure> {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;

    let filter = EnvFilter::try_new(&settings.log_level)
        .map_err(|error| Failure::usage(format!("the log level cannot be used: {error}")))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let outcome = match settings.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    outcome.map_err(|error| Failure::failed(format!("the log cannot be set up: {error}")))
}
