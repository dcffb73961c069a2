//! The parts of a host at work: started, watched, and stopped in order.

use std::sync::Arc;

use fleet_controller::{Controller, ControllerState};
use fleet_node::{NodeState, Readiness};
use fleet_plugin::PluginHost;
use fleet_seam::Clock;
use fleet_store::{Cause, Store};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::http;
use super::parts::{self, Parts};
use crate::config::Settings;
use crate::failure::{Failure, chain};

/// The parts at work.
pub(super) struct Running {
    pub(super) plugins: Arc<PluginHost>,
    pub(super) readiness: Arc<Readiness>,
    /// Knows which plugins its node has told it of.
    pub(super) known: Controller,
    /// Why the host is not ready.
    pub(super) reasons: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Ends the API, the node and the controller, each on its own so that they end in order.
    stops: [CancellationToken; 3],
    tasks: [JoinHandle<()>; 3],
    /// Returns when a store has failed.
    broken: JoinHandle<(&'static str, Cause)>,
    /// Keeps room back on the disk.
    ballast: JoinHandle<()>,
    controller_store: Store<ControllerState>,
    node_store: Store<NodeState>,
}

impl Running {
    /// Starts all of them.
    pub(super) fn start(
        parts: Parts,
        listener: TcpListener,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let Parts {
            controller,
            controller_store,
            node,
            node_store,
            plugins,
            listener: nodes,
            ballast,
        } = parts;
        let readiness = node.readiness();
        let reasons = parts::readiness(
            settings.required.clone(),
            plugins.clone(),
            readiness.clone(),
            controller.clone(),
            ballast.clone(),
        );
        let look = clock.clone();
        let ballast = tokio::spawn(async move { ballast.keep(&*look).await });
        let known = controller.clone();
        let stops: [CancellationToken; 3] = std::array::from_fn(|_| CancellationToken::new());
        let [api_stop, node_stop, controller_stop] = stops.clone();
        let router = controller.router(reasons.clone());
        let api = tokio::spawn(async move {
            http::serve(listener, router, clock, api_stop).await;
        });
        let sessions =
            tokio::spawn(async move { controller.serve_nodes(nodes, controller_stop).await });
        let node = tokio::spawn(node.run(node_stop));
        let (controller_failed, node_failed) = (controller_store.clone(), node_store.clone());
        let broken = tokio::spawn(async move {
            tokio::select! {
                cause = controller_failed.failed() => ("controller", cause),
                cause = node_failed.failed() => ("node", cause),
            }
        });
        Self {
            plugins,
            readiness,
            known,
            reasons,
            stops,
            tasks: [api, node, sessions],
            broken,
            ballast,
            controller_store,
            node_store,
        }
    }

    /// Returns when a part has ended that should not have.
    pub(super) async fn failed(&mut self) -> Failure {
        let [api, node, sessions] = &mut self.tasks;
        let part = tokio::select! {
            biased;
            broken = &mut self.broken => return match broken {
                Ok((role, cause)) => {
                    Failure::failed(format!("the {role}'s store has failed: {}", chain(&*cause)))
                        .help("nothing that was acknowledged is lost and workloads keep running: mend the disk, then start the host again")
                }
                Err(error) => Failure::failed(format!("the watch over the stores has ended: {error}")),
            },
            _ = api => "API",
            _ = node => "node",
            _ = sessions => "controller",
        };
        Failure::failed(format!("the {part} has ended by itself, which is a bug"))
            .help("workloads keep running: start the host again, and see its log")
    }

    /// Stops in order.
    pub(super) async fn stop(self) {
        let Self {
            stops: [api_stop, node_stop, controller_stop],
            tasks: [api, node, sessions],
            broken,
            ballast,
            ..
        } = self;
        broken.abort();
        ballast.abort();
        api_stop.cancel();
        node_stop.cancel();
        // A part that panicked has ended too.
        let _ = node.await;
        controller_stop.cancel();
        let _ = sessions.await;
        let _ = api.await;
        self.controller_store.close().await;
        self.node_store.close().await;
    }
}

/// Returns when every plugin is in use or rejected, the node has its session and the controller has
/// heard of both: then the host is ready, or will not become so by itself.
pub(super) async fn settled(
    plugins: Arc<PluginHost>,
    readiness: Arc<Readiness>,
    controller: Controller,
) {
    plugins.settled().await;
    let (mut node, mut known) = (readiness.changes(), controller.changes());
    while !readiness.reasons().is_empty() || !controller.loading_plugins().is_empty() {
        let changed = tokio::select! {
            changed = node.changed() => changed,
            changed = known.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
