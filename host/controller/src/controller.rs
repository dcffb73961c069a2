//! The controller as a whole: what its rooms share, and how it is opened and served.

use std::convert::Infallible;
use std::sync::Arc;

use fleet_model::StoreId;
use fleet_model::id::ParseIdError;
use fleet_protocol::transport::Listener;
use fleet_seam::{Clock, Entropy, Ids};
use fleet_store::{Store, WriteError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::streams::Streams;
use crate::auth::Gate;
use crate::expiry::Moment;
use crate::journal::Journal;
use crate::session::Registry;
use crate::state::{Connection, ControllerState, NodeRow};
use crate::turns::Turns;
use crate::workload::admit::Schemas;
use crate::{ControllerOptions, api, expiry, secret, session};

/// Why a controller cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Anybody could come in.
    #[error(
        "the admin token is empty: put one into its file, or delete the file and a new one is made"
    )]
    NoToken,
    /// Every node would count as unknown between two heartbeats.
    #[error(
        "a node would be unknown after {unknown_after_ms} ms of silence and speaks every {heartbeat_ms} ms: set a heartbeat above 0 and at most half of the other"
    )]
    Heartbeat {
        /// The heartbeat asked for.
        heartbeat_ms: u64,
        /// The silence asked for.
        unknown_after_ms: u64,
    },
    /// The store was made by something else.
    #[error("the store's id is none: choose another data folder, or restore a backup")]
    StoreId(#[source] ParseIdError),
    /// The first write failed.
    #[error("the store cannot be written")]
    Store(#[source] WriteError<Infallible>),
}

/// A controller. Clones are handles to the same one.
#[derive(Clone)]
pub struct Controller {
    pub(crate) inner: Arc<Inner>,
}

/// What the rooms share.
pub(crate) struct Inner {
    pub(crate) store: Store<ControllerState>,
    pub(crate) store_id: StoreId,
    pub(crate) options: ControllerOptions,
    pub(crate) gate: Gate,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) ids: Ids,
    /// This boot of the machine.
    pub(crate) boot: Arc<str>,
    /// The backends' schemas, compiled.
    pub(crate) schemas: Schemas,
    /// The sessions that stand.
    pub(crate) registry: Arc<Registry>,
    /// The answers that go on.
    pub(crate) streams: Streams,
    /// The changes under way, by their key.
    pub(crate) turns: Turns,
    /// Cancelled when the host stops: ends the answers that would go on for ever.
    pub(crate) closing: CancellationToken,
}

impl Controller {
    /// A controller over this store. Sessions of an earlier life of the host are over.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        store: Store<ControllerState>,
        mut options: ControllerOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let token = std::mem::take(&mut options.admin_token);
        if token.is_empty() {
            return Err(OpenError::NoToken);
        }
        options.check_heartbeat()?;
        let store_id = store.id().parse().map_err(OpenError::StoreId)?;
        store
            .write(end_all_sessions)
            .await
            .map_err(OpenError::Store)?;
        tell_of_sealed(&store, &options);
        let inner = Inner {
            store,
            store_id,
            boot: options.boot.as_str().into(),
            schemas: Schemas::default(),
            options,
            gate: Gate::new(&token),
            ids: Ids::new(clock.clone(), entropy.clone()),
            clock,
            entropy,
            registry: Arc::default(),
            streams: Streams::default(),
            turns: Turns::default(),
            closing: CancellationToken::new(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Serves every node that dials, and removes workloads whose time is over, until `stop` or until
    /// the store has failed ([`Store::failed`] then says why). When it returns, all sessions have
    /// ended and answers that follow something are ending.
    pub async fn serve_nodes(&self, listener: impl Listener, stop: CancellationToken) {
        tokio::select! {
            () = session::serve(&self.inner, listener, stop) => {}
            never = expiry::run(&self.inner) => match never {},
        }
        self.inner.closing.cancel();
    }

    /// The API. `ready` says why the host is not ready; nothing = it is.
    pub fn router(&self, ready: Arc<dyn Fn() -> Vec<String> + Send + Sync>) -> axum::Router {
        api::router(self.inner.clone(), ready)
    }

    /// The API's description: OpenAPI 3.1 as JSON, in a stable order.
    #[must_use]
    pub fn openapi() -> String {
        api::openapi()
    }

    /// How many nodes have a session now.
    #[must_use]
    pub fn nodes_online(&self) -> usize {
        self.inner.registry.len()
    }

    /// Plugins that a node has said it is still loading: until it has said what became of them,
    /// work for them is refused as `unavailable`.
    #[must_use]
    pub fn loading_plugins(&self) -> Vec<String> {
        let snapshot = self.inner.store.snapshot();
        let nodes = snapshot.state.nodes.values();
        nodes
            .flat_map(|node| &node.plugins)
            .filter(|plugin| !plugin.state.is_settled())
            .map(|plugin| plugin.name.clone())
            .collect()
    }

    /// Changes whenever anything the controller knows does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.store.changes()
    }
}

impl Inner {
    /// A journal of this moment.
    pub(crate) fn journal(&self) -> Journal {
        Journal {
            at_ms: self.clock.unix_ms(),
            keep: self.options.limits.events,
        }
    }

    /// This moment, by both clocks.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            boot: self.boot.clone(),
            boot_ms: self.clock.boot_ms(),
            unix_ms: self.clock.unix_ms(),
        }
    }
}

/// Secrets that cannot be opened keep nothing else from working, and are said at once.
fn tell_of_sealed(store: &Store<ControllerState>, options: &ControllerOptions) {
    let snapshot = store.snapshot();
    let secrets = snapshot.state.secrets.values();
    let mut troubles = secrets.filter_map(|row| secret::trouble(&options.sealing_key, row));
    if let Some(error) = troubles.next() {
        let more = troubles.count();
        tracing::warn!(%error, more, "a secret cannot be opened");
    }
}

/// After a crash the store still says that nodes are connected.
fn end_all_sessions(tx: &mut fleet_store::Tx<'_, ControllerState>) -> Result<(), Infallible> {
    let stale: Vec<Arc<NodeRow>> = tx
        .state()
        .nodes
        .values()
        .filter(|node| node.connection == Connection::Connected)
        .cloned()
        .collect();
    for node in stale {
        tx.put(NodeRow {
            connection: Connection::Disconnected,
            ..NodeRow::clone(&node)
        });
    }
    Ok(())
}
