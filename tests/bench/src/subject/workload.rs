//! What the plugin host is asked to do with the shipped backend `mock`.

use fleet_model::driver::{Creation, Handle, Workload};
use fleet_model::{Attempt, Generation, ItemKey, NodeId, Op, Verb, WorkloadId};
use fleet_plugin::Driver;
use serde_json::{Value, json};

use crate::Result;

fn id() -> WorkloadId {
    WorkloadId::new(1_000, 7)
}

/// The one workload there is.
pub(crate) fn item() -> ItemKey {
    ItemKey::workload(id())
}

/// An effect on the one workload there is.
pub(crate) fn op(verb: Verb) -> Op {
    Op {
        item: item(),
        generation: Generation(3),
        attempt: Attempt(1),
        verb,
        call: String::new(),
    }
}

/// A workload with this `[config]`, and nothing else that need not be.
pub(crate) fn workload(config: Value) -> Result<Workload> {
    let workload = json!({
        "id": id().to_string(), "name": "web", "node": NodeId::new(1_000, 8).to_string(), "generation": 3,
        "command": [], "env": {}, "ports": [], "labels": {}, "config": config,
    });
    Ok(serde_json::from_value(workload)?)
}

/// The handle of a workload that runs until it is stopped.
pub(crate) async fn started(driver: &dyn Driver) -> Result<Handle> {
    let creation = driver
        .create(&op(Verb::Create), &workload(json!({}))?)
        .await?;
    match creation {
        Creation::Ready { handle, .. } => Ok(driver.start(&op(Verb::Start), &handle).await?),
        Creation::Pending { .. } => Err("mock takes its time, which nobody asked for".into()),
    }
}

/// A `[config]` for `mock` that is exactly so many bytes of JSON: lines it would print.
pub(crate) fn config_of(bytes: usize) -> Value {
    const LINE: usize = 60;
    let with = |lines: &[String]| json!({ "output": lines });
    let mut lines: Vec<String> = Vec::new();
    loop {
        let length = with(&lines).to_string().len();
        // Another line costs its two quotes, and a comma after the first.
        let cost = if lines.is_empty() { 2 } else { 3 };
        let Some(room) = bytes.checked_sub(length + cost).filter(|room| *room > 0) else {
            return with(&lines);
        };
        // Never leave less than the next line would cost.
        let size = if room <= LINE + 4 { room } else { LINE };
        lines.push("x".repeat(size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_has_the_size_that_was_asked_for() {
        for bytes in [64, 200, 1_000, 1_024, 1_025] {
            assert_eq!(config_of(bytes).to_string().len(), bytes);
        }
    }
}
