//! The end of a case: what it made is destroyed, and nothing may be left.

use std::collections::BTreeSet;

use fleet_model::driver::Listed;
use fleet_model::{Attempt, Generation, ItemKey, Op, Verb, WorkloadId};

use super::{LOOK_MS, Runtime, Stage};
use crate::check::{Met, answered, unmet};
use crate::remains;

/// How long processes that were ended, and what held them, may take to go, in milliseconds.
const GOING_MS: u64 = 5_000;

/// What is left.
struct Left {
    /// What may be about to go: processes and what holds them.
    going: Vec<String>,
    /// What is written down somewhere.
    kept: Vec<String>,
}

impl Stage {
    /// Destroys what the case has made and looks whether anything is left.
    pub(crate) async fn clear(&mut self) -> Met {
        let names: Vec<String> = self.runtimes.keys().cloned().collect();
        for name in names {
            if !self.runtime(&name)?.is_destroyed {
                self.destroy(&name, None).await?;
            }
        }
        self.nothing_left().await?;
        let workspaces = answered(self.bench.workspaces())?;
        for id in &self.workloads {
            answered(workspaces.remove(*id))?;
        }
        Ok(())
    }

    pub(super) async fn nothing_left(&mut self) -> Met {
        let until_ms = self.clock.boot_ms() + GOING_MS;
        loop {
            let Left { going, kept } = self.left().await?;
            if going.is_empty() && kept.is_empty() {
                return Ok(());
            }
            // What is written down does not go by itself.
            if !kept.is_empty() || self.clock.boot_ms() >= until_ms {
                return unmet("nothing left behind", [going, kept].concat().join("; "));
            }
            self.pause(LOOK_MS.1).await;
        }
    }

    /// What is there of workloads whose runtimes are all destroyed.
    async fn left(&self) -> Met<Left> {
        let gone: Vec<&Runtime> = self
            .runtimes
            .values()
            .filter(|runtime| {
                let id = runtime.workload.id;
                let mut others = self.runtimes.values();
                others.all(|other| other.workload.id != id || other.is_destroyed)
            })
            .collect();
        let ids: BTreeSet<WorkloadId> = gone.iter().map(|runtime| runtime.workload.id).collect();
        let texts: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
        let mut going: Vec<String> = Vec::new();
        for text in &texts {
            let found = remains::processes(text).into_iter();
            going.extend(found.map(|it| format!("the process {} ({})", it.pid, it.command)));
        }
        let targets = gone
            .iter()
            .filter_map(|runtime| runtime.kill_target.as_ref());
        going.extend(
            targets
                .filter(|target| remains::is_there(target))
                .map(|target| format!("the kill target {target:?}")),
        );
        let is_ours = |entry: &&Listed| texts.contains(&entry.workload);
        let listed = self.walk(1_000).await?.entries;
        let mut kept: Vec<String> = Vec::new();
        kept.extend(listed.iter().filter(is_ours).map(|entry| {
            format!(
                "in the list {} of generation {}",
                entry.workload, entry.generation
            )
        }));
        let workspaces = answered(self.bench.workspaces())?;
        for id in &ids {
            let tries = std::fs::read_dir(workspaces.runs(*id))
                .into_iter()
                .flatten();
            kept.extend(
                tries
                    .flatten()
                    .map(|entry| format!("the record {}", entry.path().display())),
            );
        }
        Ok(Left { going, kept })
    }

    /// Clears away after a case that was cut off in the middle of anything: what goes wrong meanwhile
    /// says nothing about the backend, and is tried again while a process is left.
    pub(crate) async fn abandon(&mut self) {
        // Without a host there is still what can be ended without one.
        let _ = self.bench.revive().await;
        let until_ms = self.clock.boot_ms() + GOING_MS;
        loop {
            let names: Vec<String> = self.runtimes.keys().cloned().collect();
            for name in names {
                let _ = self.destroy(&name, None).await;
            }
            self.sweep().await;
            let mut ids = self.workloads.iter().map(ToString::to_string);
            let is_clear = ids.all(|id| remains::processes(&id).is_empty());
            if is_clear || self.clock.boot_ms() >= until_ms {
                return;
            }
            self.pause(LOOK_MS.1).await;
        }
    }

    /// Ends and removes whatever a case has left, as well as it can be done: what the backend lists, then
    /// what is there without it. What cannot be removed stays in the temporary folder.
    pub(crate) async fn sweep(&mut self) {
        self.execs.clear();
        let texts: BTreeSet<String> = self.workloads.iter().map(ToString::to_string).collect();
        if let (Ok(driver), Ok(walk)) = (self.driver(), self.walk(1_000).await) {
            let ours = walk.entries.iter();
            for entry in ours.filter(|entry| texts.contains(&entry.workload)) {
                if let Some(op) = destroying(&entry.workload, entry.generation) {
                    let _ = driver.destroy(&op, &entry.handle).await;
                }
            }
        }
        let caller = self.bench.setup().caller();
        if let Ok(processes) = self.bench.processes()
            && let Ok((all, _)) = processes.list(&caller, None, 1_000).await
        {
            for process in all {
                let generation = Generation(process.generation);
                if let Some(op) = destroying(&process.workload, generation) {
                    let _ = processes.remove(&caller, &op, &process.reference).await;
                }
            }
        }
        for text in &texts {
            for running in remains::processes(text) {
                running.kill();
            }
        }
        if let Ok(workspaces) = self.bench.workspaces() {
            for id in &self.workloads {
                let _ = workspaces.remove(*id);
            }
        }
    }
}

/// An op to remove whatever is there of a workload.
fn destroying(workload: &str, generation: Generation) -> Option<Op> {
    Some(Op {
        item: ItemKey::workload(workload.parse().ok()?),
        generation,
        attempt: Attempt(1),
        verb: Verb::Destroy,
        call: String::new(),
    })
}
