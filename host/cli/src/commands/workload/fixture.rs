//! A workload for tests.

use fleet_model::workload::Workload;
use serde_json::{Value, json};

/// A running web server, with these fields instead.
pub(crate) fn workload(fields: Value) -> Workload {
    let mut value = json!({
        "id": "wl_01aryz6s41tsv4rrffq69g5fav", "name": "web", "backend": "native", "node": "local",
        "node_id": "nd_01aryz6s41tsv4rrffq69g5fav", "state": "running", "desired": "running",
        "exit_code": null, "generation": 4, "observed_generation": 4, "attempt": 1,
        "ports": {"http": 40123}, "labels": {"app": "web"}, "attributes": {"pid": "4711"},
        "message": null, "error": null, "created_at_ms": 1_700_000_000_000_u64,
        "started_at_ms": 1_700_000_001_000_u64, "finished_at_ms": null, "removing": false,
        "spec": {"backend": "native", "command": ["python3", "-m", "http.server", "$(PORT_HTTP)"]},
    });
    for (key, field) in fields.as_object().unwrap() {
        value[key] = field.clone();
    }
    serde_json::from_value(value).unwrap()
}
