//! One node, from its store to its session.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fleet_capability::{PacketSpools, Redactor};
use fleet_model::driver::Observation;
use fleet_model::item::ItemKey;
use fleet_model::plugin::{PluginKind, PluginState};
use fleet_model::{Error, Name, NodeId};
use fleet_plugin::Drivers;
use fleet_protocol::transport::Dialer;
use fleet_seam::{Clock, Entropy, Ids};
use fleet_store::Store;
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::context::Context;
use crate::disk;
use crate::effects::Effects;
use crate::exec::{self, Execs};
use crate::files::Files;
use crate::hub::Hub;
use crate::packets::Pump;
use crate::plugins::Desk;
use crate::readiness::Readiness;
use crate::reconcile::recover::recover;
use crate::secrets::SecretDesk;
use crate::session;
use crate::state::{Identity, NodeState};
use crate::stats::{self, Ledger};
use crate::swaps;
use crate::sweep::sweep;
use crate::turns::Turns;
use crate::workspace::{self, Hashes, Rooms};

/// How long a start waits for backends to say what became of their runs.
const RECOVER: Duration = Duration::from_secs(5);

/// How long a stop waits for what is under way to be written down.
const EFFECTS: Duration = Duration::from_secs(5);

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The kernel's id of this boot of the machine; see [`machine_boot_id`].
    pub boot: String,
}

/// The kernel's id of this boot.
///
/// # Errors
/// Where `/proc` is not mounted.
pub fn machine_boot_id() -> Result<String, Error> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .map_err(|error| Error::unsupported("no-proc", format!("/proc must be mounted: {error}")))
}

/// What a node works with.
pub struct Parts {
    /// Its memory.
    pub store: Store<NodeState>,
    /// Its backends.
    pub drivers: Arc<dyn Drivers>,
    /// The folders of its workloads.
    pub files: Arc<dyn Files>,
    /// The packets its workloads emit.
    pub packets: Arc<dyn PacketSpools>,
    /// Where the values of secrets come through.
    pub secrets: Arc<SecretDesk>,
    /// Keeps the values of secrets out of what it says.
    pub redactor: Redactor,
    /// How it reaches its controller.
    pub dialer: Arc<dyn Dialer>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// One node. Workloads run whether or not it does.
pub struct Node {
    context: Arc<Context>,
    dialer: Arc<dyn Dialer>,
    readiness: Arc<Readiness>,
}

impl Node {
    /// Takes up the identity in the store, or makes one.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn open(options: NodeOptions, parts: Parts) -> Result<Self, Error> {
        let Parts {
            store,
            drivers,
            files,
            packets,
            secrets,
            redactor,
            dialer,
            clock,
            entropy,
        } = parts;
        let ids = Ids::new(clock.clone(), entropy.clone());
        let fresh = Identity {
            node: ids.node(),
            outbox: ids.store(),
            session: 0,
            floor: fleet_model::Generation::default(),
            seen: None,
        };
        let identity = store
            .write(move |tx| -> Result<Identity, Infallible> {
                if let Some(identity) = tx.get::<Identity>(&Identity::KEY) {
                    return Ok(Identity::clone(&identity));
                }
                tx.put(fresh.clone());
                Ok(fresh)
            })
            .await
            .map_err(|error| {
                Error::unavailable(
                    "node-store",
                    format!("the node's store cannot be written: {error}"),
                )
            })?;
        let readiness = Arc::new(Readiness::new(clock.clone()));
        let context = Arc::new(Context {
            node: identity.node,
            name: options.name,
            labels: options.labels,
            run: ids.run(),
            boot: options.boot,
            store,
            drivers,
            files,
            clock,
            entropy,
            board: Board::default(),
            packets: Pump::new(packets),
            secrets,
            redactor,
            signals: Turns::default(),
            effects: Effects::default(),
            stats: Ledger::default(),
            execs: Execs::default(),
            hashes: Hashes::default(),
            rooms: Rooms::default(),
            desk: Desk::default(),
        });
        Ok(Self {
            context,
            dialer,
            readiness,
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.context.node
    }

    /// Whether it can do its work.
    #[must_use]
    pub fn readiness(&self) -> Arc<Readiness> {
        self.readiness.clone()
    }

    /// Finds its workloads again, then works until `stop`. Nothing is stopped by stopping it.
    pub async fn run(self, stop: CancellationToken) {
        // Everything of this node ends with it, also when it ends because its store has failed.
        let stop = stop.child_token();
        let _effects = self.context.effects.guard();
        let hub = Arc::new(Hub::new(self.context.clone(), stop.clone()));
        tokio::select! {
            recovered = self.recovered() => hub.resume(recovered),
            () = stop.cancelled() => return,
        }
        let session = session::keep(
            self.context.clone(),
            hub.clone(),
            self.readiness,
            self.dialer,
            stop.clone(),
        );
        let session = async {
            session.await;
            stop.cancel();
        };
        tokio::join!(
            session,
            sweep_backends(&self.context, &stop),
            disk::watch(&self.context, &hub, &stop),
            stats::watch(&self.context, &stop),
            until(&stop, exec::watch(&self.context)),
            until(&stop, swaps::watch(&self.context)),
            until(&stop, workspace::sweep::watch(&self.context)),
            until(&stop, self.context.packets.listen()),
        );
        hub.ended().await;
        tokio::select! {
            () = self.context.effects.ended() => {}
            () = self.context.clock.sleep(EFFECTS) => {}
        }
    }

    /// What became of the runs it had, as far as backends can say so soon. Backends that are still
    /// being loaded get a moment; whatever is not asked here is looked at one by one later.
    async fn recovered(&self) -> BTreeMap<ItemKey, Observation> {
        let found = async {
            let mut changes = self.context.drivers.changes();
            while self
                .context
                .drivers
                .plugins()
                .iter()
                .any(|plugin| !plugin.state.is_settled())
            {
                if changes.changed().await.is_err() {
                    break;
                }
            }
            recover(&self.context).await
        };
        tokio::select! {
            found = found => found,
            () = self.context.clock.sleep(RECOVER) => BTreeMap::new(),
        }
    }
}

/// Does something that never ends, until `stop`.
async fn until(stop: &CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

/// Sweeps each backend once, when it is first active.
async fn sweep_backends(context: &Arc<Context>, stop: &CancellationToken) {
    let mut changes = context.drivers.changes();
    let mut swept = BTreeSet::<Name>::new();
    loop {
        for plugin in context.drivers.plugins() {
            let active =
                plugin.state == PluginState::Active && plugin.kind == Some(PluginKind::Backend);
            if let (true, Ok(name)) = (active, plugin.name.parse::<Name>())
                && swept.insert(name.clone())
            {
                tokio::select! {
                    () = sweep(context, &name) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return stop.cancelled().await;
            },
            () = stop.cancelled() => return,
        }
    }
}
