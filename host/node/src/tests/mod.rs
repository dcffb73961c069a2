//! A whole node against a double of a backend, a scripted controller, and a disk that crashes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they have deadlines"
)]

mod crashes;
mod double;
mod execs;
mod files;
mod forward;
mod life;
mod logs;
mod meters;
mod plugins;
mod programs;
mod script;
mod sessions;
mod signals;
mod stats;
mod swaps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use fleet_capability::Redactor;
use fleet_protocol::transport::memory;
use fleet_seam::{Clock, SeededEntropy, SystemClock};
use fleet_store::sim::SimDisk;
use fleet_store::{Options, Store};
use tokio_util::sync::CancellationToken;

use crate::{Node, NodeOptions, NodeState, Parts, SecretDesk};
use double::{Backends, World};
use script::Script;

/// Leaves the number of a try as it is instead of raising it. Each test is a process of its own.
pub(crate) static KEEP_ATTEMPT: AtomicBool = AtomicBool::new(false);

/// A clock on which pauses take a tenth of their time.
struct Hurried;

#[async_trait]
impl Clock for Hurried {
    fn unix_ms(&self) -> u64 {
        SystemClock.unix_ms()
    }

    fn boot_ms(&self) -> u64 {
        SystemClock.boot_ms() * 10
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration / 10).await;
    }
}

/// A node that can crash and start again on the same disk and the same world.
struct Fixture {
    disk: SimDisk,
    world: Arc<World>,
    script: Script,
    clock: Arc<dyn Clock>,
    stop: Option<(CancellationToken, tokio::task::JoinHandle<()>)>,
}

impl Fixture {
    async fn start() -> Self {
        let mut fixture = Self::off();
        fixture.boot().await;
        fixture
    }

    fn off() -> Self {
        Self::timed(Arc::new(Hurried))
    }

    /// One whose time is this clock's.
    fn timed(clock: Arc<dyn Clock>) -> Self {
        let disk = SimDisk::new::<NodeState>("st_00000000000000000000000001", 7).unwrap();
        Self {
            disk,
            world: Arc::new(World::default()),
            script: Script::default(),
            clock,
            stop: None,
        }
    }

    /// Starts the host. A disk that fails while it starts leaves it off, as a real one would.
    async fn boot(&mut self) {
        let (dialer, listener) = memory();
        let Ok(store) = Store::open(self.disk.mount(), Options::default()).await else {
            return;
        };
        let redactor = Redactor::default();
        let parts = Parts {
            store,
            drivers: Arc::new(Backends(self.world.clone())),
            files: self.world.clone(),
            packets: self.world.clone(),
            secrets: Arc::new(SecretDesk::new(self.clock.clone(), redactor.clone())),
            redactor,
            dialer: Arc::new(dialer),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
        };
        let options = NodeOptions {
            name: "here".into(),
            labels: BTreeMap::new(),
            boot: "boot-1".into(),
        };
        let Ok(node) = Node::open(options, parts).await else {
            return;
        };
        let stop = CancellationToken::new();
        let script = self.script.clone();
        let run = node.run(stop.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                () = run => {}
                () = script.control(listener) => {}
            }
        });
        self.stop = Some((stop, task));
    }

    /// The machine loses the host and what was not synced, at once.
    async fn crash(&mut self) {
        self.disk.crash();
        if let Some((_, task)) = self.stop.take() {
            task.abort();
            let _ = task.await;
        }
    }

    async fn stop(&mut self) {
        if let Some((stop, task)) = self.stop.take() {
            stop.cancel();
            task.await.unwrap();
        }
    }
}

/// Waits for something that another task does, and panics when it takes too long.
async fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = probe() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
