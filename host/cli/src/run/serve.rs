//! The life of a host: up, ready, serving, stopping, and how it ends.
//!
//! * It serves as soon as its parts are open; the first screen is printed when it is ready.
//! * The first Ctrl-C or SIGTERM stops it in order: no new requests, then the node, then the
//!   controller, whose end ends the streams that clients follow, then the stores. A second one ends it
//!   at once; nothing acknowledged is lost by that.
//! * A store that has failed ends the process: what it acknowledged is safe, what comes after would
//!   not be.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fleet_client::{Client, ClientOptions, WorkloadQuery};
use fleet_model::workload::{Workload, WorkloadState};
use fleet_plugin::Drivers as _;
use fleet_seam::{SystemClock, SystemEntropy};
use tokio::sync::watch;

use super::data::DataFolder;
use super::grants;
use super::listen;
use super::parts::{self, Seams};
use super::points::points;
use super::running::{Running, settled};
use super::screen::{Screen, stopping};
use super::signals::Stop;
use crate::app::Context;
use crate::config::Settings;
use crate::connect::DEFAULT_LISTEN;
use crate::failure::{Exit, Failure};
use crate::folder;
use crate::progress::Progress;
use crate::usual;

/// How long an ordered stop may take before the rest is left to the operating system.
const STOP: Duration = Duration::from_secs(15);
/// How long the first screen waits for what the node finds again.
const RECOVER: Duration = Duration::from_millis(500);
/// How often to look whether the data folder is still there; each commit looks by itself.
const LOOK: Duration = Duration::from_secs(1);
/// How long the host waits for its own API's answer about workloads.
const COUNT: Duration = Duration::from_secs(2);

/// Runs a host until it is told to stop.
pub(super) fn host(settings: Settings, context: &mut Context) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot set up the host", &error))?;
    let outcome = runtime.block_on(live(&settings, context));
    // What still blocks a thread is not worth waiting for: all that matters is on the disk.
    runtime.shutdown_background();
    outcome
}

async fn live(settings: &Settings, context: &mut Context) -> Result<(), Failure> {
    let seams = Seams {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        points: points(&context.environment)?,
    };
    let began_ms = seams.clock.boot_ms();
    let Some(plugins) = &settings.plugins else {
        return Err(Failure::usage("no plugin folder is named")
            .help("name one: `fleet-host run --plugins DIR`"));
    };
    let data = DataFolder::take(&settings.data)?;
    let mut stop = Stop::listen()?;
    let held = listen::hold(settings.listen)?;
    let address = held.address();
    let token = data.token(&*seams.entropy)?;
    let listener = held.listen()?;
    let granted = grants::find(
        settings.grants.as_deref(),
        data.path(),
        plugins,
        &usual::endpoints(&context.environment),
    )?;
    let parts = parts::open(settings, &data, plugins, &granted, token.clone(), &seams).await?;

    let url = format!("http://{address}");
    let client = own_client(&url, token)?;
    let command = command(settings, context, &url);
    let mut running = Running::start(parts, listener, settings, seams.clock.clone());
    let progress = Progress::begin("loading plugins");
    tokio::select! {
        () = settled(running.plugins.clone(), running.readiness.clone(), running.known.clone()) => {}
        end = running.failed() => return Err(end),
        () = stop.wished() => {
            drop(progress);
            return ordered(running, &mut stop).await;
        }
    }
    drop(progress);
    let screen = Screen {
        version: env!("CARGO_PKG_VERSION"),
        ready_ms: seams.clock.boot_ms().saturating_sub(began_ms),
        pid: std::process::id(),
        url,
        data: settings.data.display().to_string(),
        plugins: running.plugins.plugins(),
        grants: granted.grants.summary(),
        grants_file: grants_file(settings),
        grants_are_new: granted.is_new,
        not_ready: (running.reasons)(),
        workloads: recovered(&client, running.known.changes()).await,
        command,
    };
    if context.output.is_json() {
        heard(context.output.json_line(&screen))?;
    } else {
        heard(context.output.text(&screen.text()))?;
    }
    tokio::select! {
        end = running.failed() => return Err(end),
        end = removed(&data, &seams) => return Err(end),
        () = stop.wished() => {}
    }
    if !context.output.is_json() {
        let alive = workloads(&client)
            .await
            .map(|all| all.iter().filter(|one| is_alive(one)).count());
        heard(context.output.text(&stopping(alive, &screen.command)))?;
    }
    ordered(running, &mut stop).await
}

/// Returns when the data folder is not there any more: nothing could be kept from then on.
async fn removed(data: &DataFolder, seams: &Seams) -> Failure {
    while data.is_there() {
        seams.clock.sleep(LOOK).await;
    }
    Failure::failed(format!(
        "the data folder {} was removed or replaced under the running host",
        data.path().display()
    ))
    .help("workloads keep running: put the folder back as it was and start the host again, or end them by hand")
}

/// A host does not end because nobody reads what it says.
fn heard(outcome: Result<(), Failure>) -> Result<(), Failure> {
    match outcome {
        Err(failure) if failure.exit != Exit::Done => Err(failure),
        _ => Ok(()),
    }
}

/// Stops in order, unless somebody is in a hurry.
async fn ordered(running: Running, stop: &mut Stop) -> Result<(), Failure> {
    tokio::select! {
        () = running.stop() => {}
        () = stop.wished() => tracing::warn!("ended at once, as wished"),
        () = tokio::time::sleep(STOP) => tracing::warn!("stopping took too long and was cut short"),
    }
    Ok(())
}

/// A client of this very host.
fn own_client(url: &str, token: String) -> Result<Client, Failure> {
    let mut options = ClientOptions::new(url);
    options.token = Some(token);
    Ok(Client::new(options)?)
}

/// All workloads; nothing where the API does not say so in time.
async fn workloads(client: &Client) -> Option<Vec<Workload>> {
    within(COUNT, client.workloads(&WorkloadQuery::default()))
        .await?
        .ok()
}

/// All workloads, given the node a moment to look at those that it found again.
async fn recovered(client: &Client, mut known: watch::Receiver<u64>) -> Vec<Workload> {
    let mut all = Vec::new();
    let look = async {
        loop {
            all = workloads(client).await.unwrap_or_default();
            let unseen = all.iter().any(|one| one.state == WorkloadState::Unknown);
            if !unseen || known.changed().await.is_err() {
                return;
            }
        }
    };
    let _ = within(RECOVER, look).await;
    all
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// Whether something of it runs, as far as is known.
fn is_alive(workload: &Workload) -> bool {
    use WorkloadState::{Running, Starting, Stopping, Unknown};
    matches!(workload.state, Starting | Running | Stopping | Unknown)
}

/// How to call this program so that it finds this host.
fn command(settings: &Settings, context: &Context, url: &str) -> Vec<String> {
    let called = std::env::args_os()
        .next()
        .map(|name| name.to_string_lossy().into_owned());
    let mut command = vec![called.unwrap_or_else(|| "fleet-host".to_owned())];
    let default = folder::default_data(&context.environment).ok();
    if default.as_ref() != Some(&settings.data) {
        command.extend(["--data".to_owned(), settings.data.display().to_string()]);
    }
    if url != format!("http://{DEFAULT_LISTEN}") {
        command.extend(["--server".to_owned(), url.to_owned()]);
    }
    command
}

/// Where the grants stand, in the words the data folder was named in.
fn grants_file(settings: &Settings) -> String {
    settings
        .grants
        .clone()
        .unwrap_or_else(|| settings.data.join(grants::FILE))
        .display()
        .to_string()
}
