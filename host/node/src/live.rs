//! What a backend has made here and what is asked of it, for new code of that backend.

use fleet_model::Name;
use fleet_model::workload::WorkloadIntent;
use fleet_plugin::{Live, LiveHandles};
use fleet_store::Store;
use serde_json::Value;

use crate::state::{NodeState, Record, Run};

/// The handles in a node's memory.
#[derive(Clone)]
pub struct NodeHandles(Store<NodeState>);

impl NodeHandles {
    /// Those in this store.
    #[must_use]
    pub fn new(store: Store<NodeState>) -> Self {
        Self(store)
    }
}

impl LiveHandles for NodeHandles {
    fn live(&self, plugin: &Name) -> Vec<Live> {
        let snapshot = self.0.snapshot();
        snapshot
            .state
            .items
            .values()
            .filter_map(|record| of(record, plugin))
            .collect()
    }
}

/// What of a record is this backend's: what it made, and the newest intent that names it. After an
/// edit these may be two backends'.
fn of(record: &Record, backend: &Name) -> Option<Live> {
    let run = record.run.as_ref().filter(|run| run.backend == *backend);
    let intent = intent(record).filter(|intent| intent.spec.backend == *backend);
    let name = match (run, &intent) {
        (Some(Run { name, .. }), _) => name.to_string(),
        (None, Some(intent)) => intent.name.to_string(),
        (None, None) => return None,
    };
    Some(Live {
        item: record.item.id.clone(),
        name,
        handle: run.and_then(|run| run.handle.clone()),
        config: intent.map(|intent| Value::Object(intent.spec.config)),
    })
}

fn intent(record: &Record) -> Option<WorkloadIntent> {
    let intent = record.item.intent.clone()?;
    // What does not parse here was written by a newer version: nothing is known of it.
    serde_json::from_value(intent).ok()
}

#[cfg(test)]
mod tests {
    use fleet_model::driver::Handle;
    use fleet_model::item::{Attempt, Generation, Item, ItemKey};
    use fleet_model::{Name, WorkloadId};
    use serde_json::json;

    use super::*;
    use crate::state::Stage;

    fn record(intent: Option<Value>, run: Option<Run>) -> Record {
        let item: Item = serde_json::from_value(json!({
            "kind": "workload", "key": WorkloadId::new(1, 1).to_string(), "generation": 2, "intent": intent
        }))
        .unwrap();
        assert_eq!(item.id, ItemKey::workload(WorkloadId::new(1, 1)));
        Record {
            item,
            grace_ms: 0,
            removed: false,
            ports: Default::default(),
            run,
            backoff: None,
            signals: Vec::new(),
        }
    }

    fn intent(backend: &str) -> Value {
        json!({
            "name": "web", "desired": "running", "grace_ms": 0,
            "spec": {"backend": backend, "config": {"depth": 1}}
        })
    }

    fn run(backend: &str) -> Run {
        Run {
            generation: Generation(2),
            attempt: Attempt(1),
            name: "old-web".parse().unwrap(),
            backend: backend.parse().unwrap(),
            intent: None,
            boot: String::new(),
            stage: Stage::Started,
            handle: Some(Handle {
                schema: 3,
                opaque: vec![1],
            }),
            kill_target: None,
            started_at_ms: None,
            started_boot_ms: None,
            evicted: None,
            execs: Default::default(),
            attributes: Default::default(),
        }
    }

    #[test]
    fn what_was_made_and_what_is_asked_belong_to_their_backends() {
        let mock: Name = "mock".parse().unwrap();
        let schema = |live: &Live| live.handle.as_ref().map(|handle| handle.schema);
        for (record, want) in [
            (
                record(Some(intent("mock")), Some(run("mock"))),
                Some((Some(3), true, "old-web")),
            ),
            // It is being moved away.
            (
                record(Some(intent("native")), Some(run("mock"))),
                Some((Some(3), false, "old-web")),
            ),
            (
                record(Some(intent("mock")), Some(run("native"))),
                Some((None, true, "web")),
            ),
            // It is being removed.
            (
                record(None, Some(run("mock"))),
                Some((Some(3), false, "old-web")),
            ),
            (record(Some(intent("native")), None), None),
            (record(None, None), None),
        ] {
            let live = of(&record, &mock);
            let got = live
                .as_ref()
                .map(|live| (schema(live), live.config.is_some(), live.name.as_str()));
            assert_eq!(got, want, "{record:?}");
        }
    }
}
