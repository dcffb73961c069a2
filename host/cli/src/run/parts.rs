//! The parts of a host, made and joined: stores, plugins, programs, a controller and a node, and
//! between the two the same session protocol as between machines, over a pipe in memory.

use std::path::Path;
use std::sync::Arc;

use fleet_capability::endpoint::{EndpointOptions, Endpoints};
use fleet_capability::{LocalProcesses, LocalSpools, Redactor, ShimCommand};
use fleet_controller::{Controller, ControllerOptions, ControllerState, SealingKey};
use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::{Error, Name};
use fleet_node::state::Identity;
use fleet_node::{
    Node, NodeHandles, NodeOptions, NodeState, Readiness, SecretDesk, machine_boot_id,
};
use fleet_plugin::{CompileCommand, Drivers as _, PluginHost, PluginHostOptions, SwapPoints};
use fleet_protocol::transport::{MemoryListener, memory};
use fleet_seam::{Clock, Entropy, Ids};
use fleet_store::sqlite::Sqlite;
use fleet_store::{Options, State, Store, StoreError};

use super::ballast::{Ballast, Ballasted};
use super::data::{CONTROLLER_DB, DataFolder, NODE_DB};
use super::grants::Granted;
use crate::config::Settings;
use crate::failure::{Exit, Failure, chain};
use crate::workers::{COMPILE, SHIM};

/// This very program, also after another was put in its place.
const SELF: &str = "/proc/self/exe";

/// What was made through endpoints, in the data folder.
const ENDPOINTS: &str = "endpoints";

/// Time and randomness of this process, and what goes along with its swaps.
#[derive(Clone)]
pub(super) struct Seams {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) points: Arc<dyn SwapPoints>,
}

/// All parts, not yet running.
pub(super) struct Parts {
    pub(super) controller: Controller,
    pub(super) controller_store: Store<ControllerState>,
    pub(super) node: Node,
    pub(super) node_store: Store<NodeState>,
    pub(super) plugins: Arc<PluginHost>,
    pub(super) listener: MemoryListener,
    pub(super) ballast: Arc<Ballast>,
}

/// Opens everything there is in the data folder.
pub(super) async fn open(
    settings: &Settings,
    folder: &DataFolder,
    plugins: &Path,
    granted: &Granted,
    token: String,
    seams: &Seams,
) -> Result<Parts, Failure> {
    let data = folder.path();
    let Seams {
        clock,
        entropy,
        points,
    } = seams.clone();
    let ids = Ids::new(clock.clone(), entropy.clone());
    let name = node_name();
    let ballast = Arc::new(Ballast::open(data));
    let controller_store =
        store::<ControllerState>(&data.join(CONTROLLER_DB), &ids, &ballast).await?;
    let node_store = store::<NodeState>(&data.join(NODE_DB), &ids, &ballast).await?;

    belong_together(&controller_store, &node_store, data)?;

    let shim = ShimCommand {
        program: SELF.into(),
        args: vec![SHIM.into()],
    };
    let redactor = Redactor::default();
    let secrets = Arc::new(SecretDesk::new(clock.clone(), redactor.clone()));
    let processes = LocalProcesses::open_with(
        &data.join("workloads"),
        shim,
        clock.clone(),
        secrets.clone(),
        fleet_capability::Options::default(),
    )?;
    let files = processes.workspaces().clone();
    let packets = LocalSpools::open(&files, clock.clone())?;
    let endpoints = Endpoints::open(EndpointOptions {
        secrets: secrets.clone(),
        redactor: redactor.clone(),
        trace: settings.policy_trace.clone(),
        ..EndpointOptions::new(
            &data.join(ENDPOINTS),
            files.clone(),
            clock.clone(),
            entropy.clone(),
        )
    })?;
    let plugins = PluginHost::open(PluginHostOptions {
        folder: plugins.to_path_buf(),
        data: data.to_path_buf(),
        cache: settings.cache.clone(),
        grants: granted.grants.clone(),
        grants_path: granted.path.clone(),
        ceiling: settings.ceiling.clone(),
        settings: settings.plugin_settings.clone(),
        compile: CompileCommand {
            program: SELF.into(),
            args: vec![COMPILE.into()],
        },
        processes: Arc::new(processes),
        endpoints: Some(endpoints),
        clock: clock.clone(),
        node_name: name.clone(),
        redactor: redactor.clone(),
        live: Arc::new(NodeHandles::new(node_store.clone())),
        swap: settings.swap.clone(),
        points,
    })?;
    let boot = machine_boot_id()?;

    let mut options = ControllerOptions::new(token, env!("CARGO_PKG_VERSION"));
    options.boot.clone_from(&boot);
    options.sealing_key = sealing_key(folder, &controller_store, entropy.as_ref())?;
    options.heartbeat_ms = settings.heartbeat_ms();
    let controller = Controller::open(
        controller_store.clone(),
        options,
        clock.clone(),
        entropy.clone(),
    );
    let controller = controller
        .await
        .map_err(|error| Failure::failed(chain(&error)))?;
    let (dialer, listener) = memory();
    let node = Node::open(
        NodeOptions {
            name,
            labels: std::collections::BTreeMap::new(),
            boot,
        },
        fleet_node::Parts {
            store: node_store.clone(),
            drivers: plugins.clone(),
            files: Arc::new(files),
            packets: Arc::new(packets),
            secrets,
            redactor,
            dialer: Arc::new(dialer),
            clock,
            entropy,
        },
    );
    Ok(Parts {
        controller,
        controller_store,
        node: node.await?,
        node_store,
        plugins,
        listener,
        ballast,
    })
}

/// The key that seals secrets. A new one is made where nothing is sealed yet; in place of a lost one
/// it would open nothing, and hide that it is lost.
fn sealing_key(
    folder: &DataFolder,
    controller: &Store<ControllerState>,
    entropy: &dyn Entropy,
) -> Result<Result<SealingKey, Error>, Failure> {
    let text = match folder.sealing_key()? {
        Some(text) => text,
        None if controller.snapshot().state.has_secrets() => {
            let file = folder.sealing_key_file();
            let why = format!("there is no file {}", file.display());
            return Ok(Err(SealingKey::missing(why)));
        }
        None => folder.new_sealing_key(entropy)?,
    };
    Ok(SealingKey::from_text(&text))
}

/// The one database remembers what the other has done: one of them lost, or put back alone, would
/// leave work that nobody can reach.
fn belong_together(
    controller: &Store<ControllerState>,
    node: &Store<NodeState>,
    data: &Path,
) -> Result<(), Failure> {
    let snapshot = node.snapshot();
    let identity = snapshot.state.identity.get(&Identity::KEY);
    let wrong = match identity.map(AsRef::as_ref) {
        None if controller.snapshot().state.knows_nodes() => NODE_DB,
        Some(Identity {
            seen: Some(seen), ..
        }) if seen.store.to_string() != controller.id() => CONTROLLER_DB,
        _ => return Ok(()),
    };
    Err(Failure::new(
        Exit::Refused,
        format!(
            "{wrong} in {} is not the one that was there: it is new, or another host's",
            data.display()
        ),
    )
    .help(format!(
        "put {wrong} back from a backup; or, to start over, end what still runs and name another folder with --data"
    )))
}

async fn store<S: State>(
    path: &Path,
    ids: &Ids,
    ballast: &Arc<Ballast>,
) -> Result<Store<S>, Failure> {
    let refused = |error: StoreError| Failure::failed(chain(&error));
    let disk = Sqlite::open::<S>(path, &ids.store().to_string())
        .await
        .map_err(refused)?;
    let ballast = ballast.clone();
    Store::open(Arc::new(Ballasted { disk, ballast }), Options::default())
        .await
        .map_err(refused)
}

/// The machine's name, as far as it is one.
fn node_name() -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy().to_lowercase();
    let first = host.split('.').next().unwrap_or_default();
    let plain: String = first
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(63)
        .collect();
    let name = plain.trim_matches('-');
    if name.parse::<Name>().is_ok() {
        name.to_owned()
    } else {
        "local".to_owned()
    }
}

/// Why the host is not ready; nothing when it is. Plugins that were rejected are no reason, unless
/// they are required.
pub(super) fn reasons(required: &[Name], plugins: &[Plugin], node: &Readiness) -> Vec<String> {
    let mut reasons = node.reasons();
    reasons.extend(plugin_reasons(required, plugins));
    reasons
}

fn plugin_reasons(required: &[Name], plugins: &[Plugin]) -> Vec<String> {
    let loading = plugins.iter().filter(|plugin| !plugin.state.is_settled());
    let mut reasons: Vec<String> = loading
        .map(|plugin| {
            format!(
                "plugin {} is still being loaded ({})",
                plugin.name, plugin.state
            )
        })
        .collect();
    for name in required {
        let mut found = plugins
            .iter()
            .filter(|plugin| plugin.name == name.as_str())
            .peekable();
        if found.peek().is_none() {
            reasons.push(format!("plugin {name} is required and was not found"));
        } else if let Some(plugin) = found.clone().find(|plugin| {
            matches!(
                plugin.state,
                PluginState::Rejected | PluginState::Quarantined
            )
        }) && !found.any(|plugin| plugin.state == PluginState::Active)
        {
            let why = plugin.reason.as_deref().unwrap_or("no reason given");
            reasons.push(format!("plugin {name} is required and was rejected: {why}"));
        }
    }
    reasons
}

/// A closure for the API's `/ready`.
pub(super) fn readiness(
    required: Vec<Name>,
    plugins: Arc<PluginHost>,
    node: Arc<Readiness>,
    controller: Controller,
    ballast: Arc<Ballast>,
) -> Arc<dyn Fn() -> Vec<String> + Send + Sync> {
    Arc::new(move || {
        let mut reasons = reasons(&required, &plugins.plugins(), &node);
        // Loaded here is not yet known there, and placement goes by what is known there.
        if reasons.is_empty() && !controller.loading_plugins().is_empty() {
            reasons.push("the controller has not heard yet what became of the plugins".to_owned());
        }
        reasons.extend(ballast.reason());
        reasons
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plugin(name: &str, state: &str) -> Plugin {
        let fields = json!({"name": name, "kind": null, "version": null, "digest": null, "state": state, "reason": "why",
            "usable": true, "file": "f"});
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn only_loading_and_required_plugins_hold_readiness_back() {
        let native: Name = "native".parse().unwrap();
        let plugins = [plugin("native", "active"), plugin("junk", "rejected")];
        assert!(plugin_reasons(std::slice::from_ref(&native), &plugins).is_empty());
        let loading = plugin_reasons(&[], &[plugin("native", "compiled")]);
        assert_eq!(loading, ["plugin native is still being loaded (compiled)"]);
        let rejected = plugin_reasons(&["junk".parse().unwrap()], &plugins);
        assert_eq!(rejected, ["plugin junk is required and was rejected: why"]);
        let missing = plugin_reasons(&["docker".parse().unwrap()], &plugins);
        assert_eq!(missing, ["plugin docker is required and was not found"]);
        // A newcomer that was refused beside an active one takes nothing away.
        assert!(
            plugin_reasons(
                &[native],
                &[plugin("native", "rejected"), plugin("native", "active")]
            )
            .is_empty()
        );
    }

    #[test]
    fn the_machine_has_a_name() {
        node_name().parse::<Name>().unwrap();
    }
}
