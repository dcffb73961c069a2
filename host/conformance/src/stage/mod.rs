//! Where a case is played: a host, the runtimes the case has made on it, and how each step is done.

mod behind;
mod change;
mod clear;
mod exec;
mod held;
mod list;
mod logs;
mod look;
mod offer;
mod repeat;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fleet_capability::Source;
use fleet_model::driver::{Exit, Fingerprint, Handle, KillTarget, Workload};
use fleet_model::id::NodeId;
use fleet_model::stats::Usage;
use fleet_model::{Attempt, Error, ItemKey, Op, Verb, WorkloadId};
use fleet_plugin::Driver;
use fleet_plugin::manifest::Manifest;
use fleet_seam::{Clock, Ids};
use tokio::sync::RwLock;

use crate::ability::Abilities;
use crate::bench::Bench;
use crate::case::{Step, Written};
use crate::check::lines::{Line, Wanted};
use crate::check::{Met, Unmet, answered, unmet};
use crate::parts::Parts;
use held::Held;
use repeat::Deed;

/// How long anything that takes a moment may take, in milliseconds.
const PATIENCE_MS: u64 = 20_000;

/// How long a call that is under way may take when the case is cut off, in milliseconds.
const LAST_CALL_MS: u64 = 2_000;

/// How soon to look again while waiting, and at most how late.
const LOOK_MS: (u64, u64) = (2, 100);

/// What is known of the backend before a case begins.
pub(crate) struct Backend {
    pub(crate) manifest: Manifest,
    pub(crate) abilities: Abilities,
    pub(crate) parts: Parts,
}

/// Where a case is played.
pub(crate) struct Stage {
    bench: Bench,
    backend: Arc<Backend>,
    clock: Arc<dyn Clock>,
    ids: Ids,
    node: NodeId,
    /// All that something may have been made for.
    workloads: BTreeSet<WorkloadId>,
    runtimes: BTreeMap<String, Runtime>,
    execs: BTreeMap<String, Beside>,
    last: Option<Deed>,
    fingerprint: Option<Fingerprint>,
    keys: usize,
    /// Held for reading by each call that is under way.
    calls: Arc<RwLock<()>>,
}

/// A runtime of the case.
struct Runtime {
    workload: Workload,
    attempt: Attempt,
    handle: Handle,
    kill_target: Option<KillTarget>,
    is_destroyed: bool,
    /// How it ended, once that was seen.
    ended: Option<Exit>,
    /// All it printed, once that was read.
    log: Vec<Line>,
    watch: Held<Source>,
    usage: Option<Usage>,
}

/// A program beside one.
struct Beside {
    on: String,
    /// How the backend knows it.
    name: String,
    /// What stands in its environment.
    mark: String,
    attached: Held<exec::Attached>,
}

impl Runtime {
    fn item(&self) -> ItemKey {
        ItemKey::workload(self.workload.id)
    }

    fn op(&self, verb: Verb, call: &str) -> Op {
        Op {
            item: self.item(),
            generation: self.workload.generation,
            attempt: self.attempt,
            verb,
            call: call.to_owned(),
        }
    }
}

impl Stage {
    /// A stage with nothing on it.
    pub(crate) fn new(bench: Bench, backend: Arc<Backend>) -> Self {
        let setup = bench.setup();
        let clock = setup.clock.clone();
        let ids = Ids::new(clock.clone(), setup.entropy.clone());
        Self {
            bench,
            backend,
            clock,
            node: ids.node(),
            ids,
            workloads: BTreeSet::new(),
            runtimes: BTreeMap::new(),
            execs: BTreeMap::new(),
            last: None,
            fingerprint: None,
            keys: 0,
            calls: Arc::default(),
        }
    }

    /// Returns when no call is under way and none begins any more, but does not wait for ever: what a
    /// call has begun, as a process, could come after it was cleared away.
    pub(crate) fn at_rest(&self) -> impl Future<Output = ()> + use<> {
        let (calls, clock) = (self.calls.clone(), self.clock.clone());
        async move {
            tokio::select! {
                _ = calls.write_owned() => {}
                () = clock.sleep(Duration::from_millis(LAST_CALL_MS)) => {}
            }
        }
    }

    /// Does the steps in order, up to the first that does not come out as it must. `at` says which one
    /// is being done.
    pub(crate) async fn play(&mut self, steps: &[Written], at: &AtomicUsize) -> Met {
        for (index, written) in steps.iter().enumerate() {
            at.store(index, Ordering::Relaxed);
            self.act(&written.step).await?;
        }
        Ok(())
    }

    async fn act(&mut self, step: &Step) -> Met {
        match step {
            Step::Describe {} => self.describe(),
            Step::Fingerprint {} => self.fingerprint().await,
            Step::Create {
                name,
                role,
                of,
                generation,
                attempt,
            } => {
                let of = of.as_deref();
                self.create(name, *role, of, *generation, *attempt).await
            }
            Step::CreateOffSchema { role } => self.create_off_schema(*role).await,
            Step::Start { on } => self.start(on).await,
            Step::Stop {
                on,
                signal,
                attempt,
                at_most_ms,
            } => self.stop(on, signal, *attempt, *at_most_ms).await,
            Step::Kill { on, attempt } => self.kill(on, *attempt).await,
            Step::Destroy { on, attempt } => self.destroy(on, *attempt).await,
            Step::Repeat {} => self.repeat().await,
            Step::LoseHost {} => self.lose_host().await,
            Step::Await {
                on,
                is,
                code,
                signal,
            } => self.wait_for(on, is, *code, signal.as_deref()).await,
            Step::Look { on, is } => self.look(on, is).await,
            Step::Ready { on } => self.ready(on).await,
            Step::Recover { of, are, count } => self.recover(of, are, *count).await,
            Step::List { limit, has, lacks } => self.list(*limit, has, lacks).await,
            Step::Logs { on, stdout, stderr } => self.logs(on, Wanted { stdout, stderr }).await,
            Step::LogsTail { on, lines } => self.logs_tail(on, *lines).await,
            Step::LogsSince { on, line } => self.logs_since(on, *line).await,
            Step::LogsCursors { on } => self.logs_cursors(on).await,
            Step::LogsFollow { on, stdout, stderr } => {
                self.logs_follow(on, Wanted { stdout, stderr }).await
            }
            Step::Send { on, text, refused } => self.send(on, text, refused.as_ref()).await,
            Step::Signal {
                on,
                signal,
                refused,
            } => self.signal(on, signal, refused.as_ref()).await,
            Step::Stats { on, refused } => self.stats(on, refused.as_ref()).await,
            Step::Watch { on } => self.watch(on).await,
            Step::Woken { on } => self.woken(on).await,
            Step::KillBehind { on, what } => self.kill_behind(on, *what).await,
            Step::Processes { on, are } => self.processes(on, *are).await,
            Step::NothingLeft {} => self.nothing_left().await,
            Step::Exec {
                on,
                name,
                role,
                terminal,
                refused,
            } => {
                let refused = refused.as_ref();
                self.exec(on, name, *role, *terminal, refused).await
            }
            Step::ExecMissing { on } => self.exec_missing(on).await,
            Step::ExecOutput { of, stdout, stderr } => self.exec_output(of, stdout, stderr).await,
            Step::ExecPrints { of, stdout } => self.exec_prints(of, stdout).await,
            Step::ExecCursors { of } => self.exec_cursors(of).await,
            Step::ExecGive { of, text, end } => self.exec_give(of, text, *end).await,
            Step::ExecAwait { of, code, signal } => {
                self.exec_await(of, *code, signal.as_deref()).await
            }
            Step::ExecLook { of, is } => self.exec_look(of, is).await,
            Step::ExecResize { of, to, refused } => {
                self.exec_resize(of, *to, refused.as_ref()).await
            }
            Step::ExecSignal {
                of,
                signal,
                refused,
            } => self.exec_signal(of, signal, refused.as_ref()).await,
            Step::ExecRemove { of } => self.exec_remove(of).await,
            Step::ExecProcesses { of, are } => self.exec_processes(of, *are).await,
        }
    }

    async fn lose_host(&mut self) -> Met {
        // What a host held open is gone with it.
        for runtime in self.runtimes.values_mut() {
            runtime.watch.put(None);
        }
        for exec in self.execs.values_mut() {
            exec.attached.put(None);
        }
        let _call = self.calls.clone().read_owned().await;
        answered(self.bench.lose().await)
    }

    fn driver(&self) -> Met<Arc<dyn Driver>> {
        answered(self.bench.driver())
    }

    fn runtime(&self, name: &str) -> Met<&Runtime> {
        self.runtimes.get(name).ok_or_else(|| no_such(name))
    }

    fn runtime_mut(&mut self, name: &str) -> Met<&mut Runtime> {
        self.runtimes.get_mut(name).ok_or_else(|| no_such(name))
    }

    fn beside(&self, name: &str) -> Met<&Beside> {
        self.execs.get(name).ok_or_else(|| no_such(name))
    }

    fn beside_mut(&mut self, name: &str) -> Met<&mut Beside> {
        self.execs.get_mut(name).ok_or_else(|| no_such(name))
    }

    /// An op with a client's key that was not used in this case.
    fn keyed(&mut self, on: &str, verb: Verb) -> Met<Op> {
        self.keys += 1;
        let key = format!("kit-{}", self.keys);
        Ok(self.runtime(on)?.op(verb, &key))
    }

    /// Makes a call; whatever it answers, it must do so in time.
    async fn timed<T>(
        &self,
        at_most_ms: Option<u64>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Met<Result<T, Error>> {
        let under_way = self.calls.read().await;
        let begun_ms = self.clock.boot_ms();
        let answer = call.await;
        drop(under_way);
        let took_ms = self.clock.boot_ms().saturating_sub(begun_ms);
        let deadline_ms = self.backend.manifest.limits.deadline_ms;
        let (limit_ms, whose) = match at_most_ms {
            Some(ms) => (ms, "as the case says"),
            None => (deadline_ms, "`deadline_ms` of the manifest"),
        };
        // An answer that came is told before how long it took, if it says what went wrong.
        if took_ms > limit_ms && answer.is_ok() {
            return unmet(
                format!("an answer within {limit_ms} ms, {whose}"),
                format!("one after {took_ms} ms"),
            );
        }
        Ok(answer)
    }

    /// Makes a call that must be answered.
    async fn ask<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Met<T> {
        answered(self.timed(None, call).await?)
    }

    /// Makes a call that must be answered. Where the answer is to ask again, it is asked again, as a host
    /// does, but not for ever.
    async fn persist<T, F: Future<Output = Result<T, Error>>>(
        &self,
        at_most_ms: Option<u64>,
        call: impl Fn() -> F,
    ) -> Met<T> {
        let until_ms = self.clock.boot_ms() + PATIENCE_MS;
        loop {
            let answer = self.timed(at_most_ms, call()).await?;
            let later_ms = match &answer {
                Err(error) if error.kind.is_retryable() => error.retry_after_ms,
                _ => None,
            };
            match later_ms {
                Some(ms) if self.clock.boot_ms() < until_ms => {
                    self.pause(ms.clamp(20, 1_000).into()).await;
                }
                _ => return answered(answer),
            }
        }
    }

    /// Waits for something to come, but not for ever.
    async fn within<T>(&self, what: &str, work: impl Future<Output = Met<T>>) -> Met<T> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.pause(PATIENCE_MS) => {
                unmet(format!("{what} within {PATIENCE_MS} ms"), "nothing of the kind")
            }
        }
    }

    async fn pause(&self, ms: u64) {
        self.clock.sleep(Duration::from_millis(ms)).await;
    }
}

fn no_such(name: &str) -> Unmet {
    Unmet {
        expected: format!("`{name}` to be made by an earlier step"),
        saw: "none".to_owned(),
    }
}
