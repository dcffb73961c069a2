//! A backend without WebAssembly: runtimes in memory that outlive the node, each effect counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use fleet_capability::process::OutputOptions;
use fleet_capability::source::{Frame, Source};
use fleet_capability::workspace::{Tree, Usage, WorkspaceFile, Workspaces};
use fleet_capability::{PacketSpools, Spooled};
use fleet_model::driver::{
    Creation, Description, Exit, Fingerprint, Handle, Listed, Observation, RunState, Workload,
};
use fleet_model::exec::{ExecSpec, ExecState, TerminalSize};
use fleet_model::item::{Generation, ItemKey};
use fleet_model::plugin::{Plugin, PluginKind, PluginState};
use fleet_model::{Error, Name, Op, StoreId, WorkloadId};
use fleet_plugin::{Driver, Drivers, Swaps};
use futures::StreamExt;
use tokio::sync::watch;

use super::meters::Meters;
use super::programs::Programs;
use super::swaps::Played;
use crate::files::Files;

/// The machine below the backend.
pub(super) struct World {
    inner: Mutex<Inner>,
    pub(super) programs: Programs,
    pub(super) meters: Meters,
    /// What each read of a log gives, all of it at once.
    pub(super) log: Mutex<Vec<Result<Frame, Error>>>,
    pub(super) swaps: Played,
    /// Where a test has them, the folders of workloads.
    pub(super) folders: OnceLock<Workspaces>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    runtimes: BTreeMap<RuntimeKey, Runtime>,
    effects: BTreeMap<String, u32>,
    done: BTreeSet<String>,
    removed_files: u32,
    /// What removing files fails with.
    irremovable: Option<Error>,
    files: BTreeMap<String, Vec<u8>>,
    used_bytes: u64,
    /// How often that was asked for.
    measured: usize,
    forbidden: BTreeSet<Name>,
    /// Watches say nothing, not even that what they watch has ended.
    silent: bool,
    /// What the code says of itself, and of what it sees.
    code: Option<Arc<Description>>,
}

/// Workload, generation, attempt.
pub(super) type RuntimeKey = (String, u64, u64);

/// One runtime of the double.
#[derive(Debug, Clone)]
pub(super) struct Runtime {
    pub(super) state: RunState,
    pub(super) stubborn: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            programs: Programs::default(),
            meters: Meters::default(),
            log: Mutex::default(),
            swaps: Played::default(),
            folders: OnceLock::new(),
            changed: watch::Sender::new(0),
        }
    }
}

impl World {
    /// How often each op had an effect.
    pub(super) fn effects(&self) -> BTreeMap<String, u32> {
        self.inner.lock().unwrap().effects.clone()
    }

    pub(super) fn runtimes(&self) -> BTreeMap<RuntimeKey, Runtime> {
        self.inner.lock().unwrap().runtimes.clone()
    }

    pub(super) fn removed_files(&self) -> u32 {
        self.inner.lock().unwrap().removed_files
    }

    /// From now on files cannot be removed, for this reason, or can.
    pub(super) fn hold_files(&self, error: Option<Error>) {
        self.inner.lock().unwrap().irremovable = error;
    }

    /// What was put into workspaces.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.inner.lock().unwrap().files.clone()
    }

    /// The newcomer of the plugin is so far from now on.
    pub(super) fn reach(&self, stage: Option<PluginState>) {
        self.swaps.reach(stage);
        self.changed.send_modify(|count| *count += 1);
    }

    /// From now on watches are silent.
    pub(super) fn silence_watches(&self) {
        self.inner.lock().unwrap().silent = true;
    }

    /// New code takes over.
    pub(super) fn new_code(&self, version: &str) {
        self.inner.lock().unwrap().code = Some(described(version));
        self.changed.send_modify(|count| *count += 1);
    }

    fn code(&self) -> Arc<Description> {
        let mut inner = self.inner.lock().unwrap();
        inner.code.get_or_insert_with(|| described("1")).clone()
    }

    /// From now on this secret is not granted.
    pub(super) fn forbid(&self, secret: &str) {
        let secret = secret.parse().unwrap();
        self.inner.lock().unwrap().forbidden.insert(secret);
    }

    /// From now on every workspace takes so much disk.
    pub(super) fn fill(&self, bytes: u64) {
        self.inner.lock().unwrap().used_bytes = bytes;
    }

    /// How often it was asked what a workload's files take.
    pub(super) fn measured(&self) -> usize {
        self.inner.lock().unwrap().measured
    }

    /// Ends all programs that run.
    pub(super) fn exit_all(&self, code: i32) {
        let exit = Exit {
            code,
            signal: None,
            at_ms: None,
        };
        self.each(|runtime| {
            if runtime.state == RunState::Running {
                runtime.state = RunState::Exited { exit: exit.clone() };
            }
        });
    }

    /// From now on, what runs ignores a stop.
    pub(super) fn make_stubborn(&self) {
        self.each(|runtime| runtime.stubborn = true);
    }

    fn each(&self, change: impl Fn(&mut Runtime)) {
        self.inner
            .lock()
            .unwrap()
            .runtimes
            .values_mut()
            .for_each(change);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Counts an op's effect, unless the op was done before.
    fn once(&self, op: &Op, effect: impl FnOnce(&mut BTreeMap<RuntimeKey, Runtime>)) {
        let mut inner = self.inner.lock().unwrap();
        if inner.done.insert(op.to_string()) {
            *inner.effects.entry(op.to_string()).or_default() += 1;
            effect(&mut inner.runtimes);
        }
        drop(inner);
        self.changed.send_modify(|count| *count += 1);
    }
}

fn key(handle: &Handle) -> RuntimeKey {
    serde_json::from_slice(&handle.opaque).unwrap()
}

fn end(
    runtimes: &mut BTreeMap<RuntimeKey, Runtime>,
    handle: &Handle,
    code: i32,
    signal: &str,
    force: bool,
) {
    if let Some(runtime) = runtimes.get_mut(&key(handle))
        && runtime.state == RunState::Running
        && (force || !runtime.stubborn)
    {
        runtime.state = RunState::Exited {
            exit: Exit {
                code,
                signal: Some(signal.into()),
                at_ms: None,
            },
        };
    }
}

fn described(version: &str) -> Arc<Description> {
    Arc::new(Description {
        name: "double".into(),
        version: version.into(),
        handle_schema: 1,
        reads: vec![1],
        config_schema: serde_json::json!({}),
        attributes: BTreeMap::new(),
    })
}

/// The double's driver.
struct Double(Arc<World>);

#[async_trait]
impl Driver for Double {
    fn description(&self) -> Arc<Description> {
        self.0.code()
    }

    async fn fingerprint(&self) -> Result<Fingerprint, Error> {
        Ok(Fingerprint::default())
    }

    fn check_secrets(&self, _: &Op, names: &BTreeSet<Name>) -> Result<(), Error> {
        let inner = self.0.inner.lock().unwrap();
        match names.iter().find(|name| inner.forbidden.contains(*name)) {
            Some(name) => Err(Error::denied("not-granted", format!("no secret {name}"))),
            None => Ok(()),
        }
    }

    async fn create(&self, op: &Op, workload: &Workload) -> Result<Creation, Error> {
        let key = (workload.id.to_string(), op.generation.0, op.attempt.0);
        let opaque = serde_json::to_vec(&key).unwrap();
        self.0.once(op, |runtimes| {
            runtimes.insert(
                key,
                Runtime {
                    state: RunState::Created,
                    stubborn: false,
                },
            );
        });
        Ok(Creation::Ready {
            handle: Handle { schema: 1, opaque },
            kill_target: None,
        })
    }

    async fn start(&self, op: &Op, handle: &Handle) -> Result<Handle, Error> {
        self.0.once(op, |runtimes| {
            runtimes.get_mut(&key(handle)).unwrap().state = RunState::Running
        });
        Ok(handle.clone())
    }

    async fn stop(&self, op: &Op, handle: &Handle, signal: &str) -> Result<Handle, Error> {
        self.0
            .once(op, |runtimes| end(runtimes, handle, 143, signal, false));
        Ok(handle.clone())
    }

    async fn kill(&self, op: &Op, handle: &Handle) -> Result<Handle, Error> {
        self.0
            .once(op, |runtimes| end(runtimes, handle, 137, "KILL", true));
        Ok(handle.clone())
    }

    async fn destroy(&self, op: &Op, handle: &Handle) -> Result<(), Error> {
        self.0
            .once(op, |runtimes| drop(runtimes.remove(&key(handle))));
        Ok(())
    }

    async fn inspect(&self, _: &ItemKey, handle: &Handle) -> Result<Observation, Error> {
        let code = self.0.code().version.clone();
        let inner = self.0.inner.lock().unwrap();
        let runtime = inner
            .runtimes
            .get(&key(handle))
            .ok_or_else(|| Error::not_found("gone", "gone"))?;
        Ok(Observation {
            state: runtime.state.clone(),
            started_at_ms: None,
            attributes: BTreeMap::from([
                ("pid".to_owned(), "42".to_owned()),
                ("seen-by".to_owned(), code),
            ]),
        })
    }

    async fn recover(&self, handles: &[Handle]) -> Result<Vec<Observation>, Error> {
        let mut seen = Vec::new();
        for handle in handles {
            seen.push(self.inspect(&any(), handle).await?);
        }
        Ok(seen)
    }

    async fn list(&self, _: Option<&str>, _: u32) -> Result<(Vec<Listed>, Option<String>), Error> {
        let inner = self.0.inner.lock().unwrap();
        let listed = inner.runtimes.keys().map(|key| Listed {
            handle: Handle {
                schema: 1,
                opaque: serde_json::to_vec(key).unwrap(),
            },
            workload: key.0.clone(),
            node: String::new(),
            generation: Generation(key.1),
        });
        Ok((listed.collect(), None))
    }

    async fn watch(&self, _: &ItemKey, handle: &Handle) -> Result<Option<Source>, Error> {
        let (world, key) = (self.0.clone(), key(handle));
        let ended = async move {
            if world.inner.lock().unwrap().silent {
                std::future::pending::<()>().await;
            }
            let mut changed = world.changed.subscribe();
            while world
                .runtimes()
                .get(&key)
                .is_some_and(|runtime| runtime.state == RunState::Running)
            {
                changed.changed().await.unwrap();
            }
        };
        // No frame, then the end.
        let output = futures::stream::once(ended)
            .filter_map(|()| async { None })
            .boxed();
        Ok(Some(Source {
            output,
            input: None,
        }))
    }

    async fn send(&self, op: &Op, _: &Handle, _: Bytes) -> Result<(), Error> {
        self.0.once(op, |_| {});
        Ok(())
    }

    async fn logs(&self, _: &ItemKey, _: &Handle, _: &OutputOptions) -> Result<Source, Error> {
        let log = self.0.log.lock().unwrap().clone();
        // Whoever polls it after its end panics.
        let output = futures::stream::unfold(log.into_iter(), async |mut log| {
            log.next().map(|next| (next, log))
        });
        Ok(Source {
            output: output.boxed(),
            input: None,
        })
    }

    async fn signal(&self, op: &Op, _: &Handle, signal: &str) -> Result<(), Error> {
        let sent = self.0.meters.signal(op, signal);
        self.0.programs.let_go().await;
        sent
    }

    async fn usage(
        &self,
        _: &ItemKey,
        handle: &Handle,
    ) -> Result<fleet_model::stats::Usage, Error> {
        self.0.meters.usage(&key(handle).0).await
    }

    async fn exec(&self, op: &Op, _: &Handle, spec: &ExecSpec) -> Result<String, Error> {
        self.0.programs.exec(op, spec)
    }

    async fn open_exec(
        &self,
        _: &ItemKey,
        _: &Handle,
        exec: &str,
        after: u64,
    ) -> Result<Source, Error> {
        Programs::open(&self.0, exec, after)
    }

    async fn inspect_exec(&self, _: &ItemKey, _: &Handle, exec: &str) -> Result<ExecState, Error> {
        if self.0.programs.is_hung(exec) {
            return std::future::pending().await;
        }
        self.0.programs.inspect(exec)
    }

    async fn resize_exec(
        &self,
        _: &ItemKey,
        _: &Handle,
        exec: &str,
        size: TerminalSize,
    ) -> Result<(), Error> {
        self.0.programs.resize(exec, size)
    }

    async fn signal_exec(
        &self,
        op: &Op,
        _: &Handle,
        exec: &str,
        signal: &str,
    ) -> Result<(), Error> {
        let sent = self.0.programs.signal(op, exec, signal);
        self.0.programs.let_go().await;
        sent
    }

    async fn remove_exec(&self, _: &Op, _: &Handle, exec: &str) -> Result<(), Error> {
        let removed = self.0.programs.remove(exec);
        self.0.programs.let_go().await;
        removed
    }
}

/// The double looks at no item.
fn any() -> ItemKey {
    ItemKey::workload(WorkloadId::new(0, 0))
}

/// All backends of the world: one, whatever the name.
pub(super) struct Backends(pub(super) Arc<World>);

impl Drivers for Backends {
    fn driver(&self, _: &Name) -> Result<Arc<dyn Driver>, Error> {
        Ok(Arc::new(Double(self.0.clone())))
    }

    fn swaps(&self) -> Option<&dyn Swaps> {
        Some(&self.0.swaps)
    }

    fn plugins(&self) -> Vec<Plugin> {
        vec![Plugin {
            kind: Some(PluginKind::Backend),
            version: Some("1".into()),
            state: PluginState::Active,
            usable: true,
            swapping: self.0.swaps.swapping(),
            ..Plugin::found("double", "double.wasm", "")
        }]
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }
}

#[async_trait]
impl Files for World {
    async fn write(&self, _: WorkloadId, files: Vec<WorkspaceFile>) -> Result<(), Error> {
        let files = files
            .into_iter()
            .map(|file| (file.path, file.bytes.expose().to_vec()));
        self.inner.lock().unwrap().files.extend(files);
        Ok(())
    }

    async fn tree(&self, workload: WorkloadId) -> Result<Tree, Error> {
        let folders = self.folders.get();
        let folders = folders.ok_or_else(|| Error::not_found("no-workspace", "no folders"))?;
        folders.tree(workload)
    }

    async fn usage(&self, _: WorkloadId) -> Result<Usage, Error> {
        let mut inner = self.inner.lock().unwrap();
        inner.measured += 1;
        let workspace_bytes = inner.used_bytes;
        Ok(Usage {
            workspace_bytes,
            ..Usage::default()
        })
    }

    async fn remove(&self, _: WorkloadId) -> Result<(), Error> {
        let mut inner = self.inner.lock().unwrap();
        if let Some(error) = &inner.irremovable {
            return Err(error.clone());
        }
        inner.removed_files += 1;
        Ok(())
    }
}

#[async_trait]
impl PacketSpools for World {
    async fn changed(&self) -> Vec<WorkloadId> {
        std::future::pending().await
    }

    async fn read(&self, _: WorkloadId, _: u64, _: usize) -> Result<Option<Spooled>, Error> {
        Ok(None)
    }

    async fn trim(&self, _: WorkloadId, _: StoreId, _: u64) -> Result<(), Error> {
        Ok(())
    }
}
