//! Containers as the product makes them: the backend `docker`, called as a node calls it.

use std::sync::atomic::{AtomicU64, Ordering};

use fleet_model::driver::{Creation, Handle, RunState, Workload};
use fleet_model::exec::{ExecSpec, ExecState};
use fleet_model::{Attempt, Generation, ItemKey, NodeId, Op, Verb, WorkloadId};
use fleet_plugin::Driver;
use futures::StreamExt as _;
use serde_json::json;

use crate::Result;
use crate::stopwatch::now;

/// Every workload is another one.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A container that runs.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    item: ItemKey,
    handle: Handle,
}

impl Container {
    /// Makes and starts one.
    pub(crate) async fn begin(driver: &dyn Driver, image: &str, command: &[&str]) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = WorkloadId::new(1_000, number.into());
        let item = ItemKey::workload(id);
        let workload = json!({
            "id": id.to_string(), "name": format!("c{number}"), "node": NodeId::new(1_000, 8).to_string(),
            "generation": 3, "command": command, "env": { "FLEET_GENERATION": "3" }, "ports": [],
            "labels": {}, "config": { "image": image, "network": "none" },
        });
        let workload: Workload = serde_json::from_value(workload)?;
        let creation = driver
            .create(&op(&item, Verb::Create, ""), &workload)
            .await?;
        let Creation::Ready { handle, .. } = creation else {
            return Err(format!("the image {image} is not there").into());
        };
        let handle = driver.start(&op(&item, Verb::Start, ""), &handle).await?;
        Ok(Self { item, handle })
    }

    /// Looks at it.
    pub(crate) async fn inspect(&self, driver: &dyn Driver) -> Result<RunState> {
        Ok(driver.inspect(&self.item, &self.handle).await?.state)
    }

    /// Runs a program beside its own until it ends: how much it printed, and its exit code.
    pub(crate) async fn exec(&self, driver: &dyn Driver, command: &[&str]) -> Result<(usize, i32)> {
        let call = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let spec: ExecSpec = serde_json::from_value(json!({ "command": command }))?;
        let begin = op(&self.item, Verb::Exec, &call);
        let exec = driver.exec(&begin, &self.handle, &spec).await?;
        let source = driver.open_exec(&self.item, &self.handle, &exec, 0).await?;
        let mut output = source.output;
        let mut printed = 0;
        while let Some(frame) = output.next().await {
            printed += frame?.bytes.len();
        }
        let began = now();
        loop {
            match driver.inspect_exec(&self.item, &self.handle, &exec).await? {
                ExecState::Exited { exit, .. } => return Ok((printed, exit.code)),
                ExecState::Running if began.elapsed().as_secs() < 10 => {
                    tokio::task::yield_now().await
                }
                state => return Err(format!("a program beside a container is {state:?}").into()),
            }
        }
    }

    /// Removes it.
    pub(crate) async fn end(self, driver: &dyn Driver) -> Result<()> {
        let destroy = op(&self.item, Verb::Destroy, "");
        Ok(driver.destroy(&destroy, &self.handle).await?)
    }
}

fn op(item: &ItemKey, verb: Verb, call: &str) -> Op {
    Op {
        item: item.clone(),
        generation: Generation(3),
        attempt: Attempt(1),
        verb,
        call: call.to_owned(),
    }
}
