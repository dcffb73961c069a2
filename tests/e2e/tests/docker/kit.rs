//! `plugin test` holds the backend to the conformance kit, on the engine at `DOCKER_HOST`.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use fleet_e2e::{binary, plugins};
use fleet_test_engine::Engine;
use serde_json::Value;

#[test]
fn the_kit_passes_with_all_the_backend_offers_and_leaves_nothing() {
    let Some(engine) = Engine::own() else {
        return;
    };
    let output = Command::new(binary())
        .args(["plugin", "test", "--output", "json"])
        .arg(plugins().join("docker.wasm"))
        .env("DOCKER_HOST", engine.address())
        .env("FLEET_CACHE", fleet_e2e::compile_cache())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|_| {
        panic!(
            "no report: {said} {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let failed: Vec<&Value> = report["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["result"] == "failed")
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(report["failed"], 0, "{report:#}");
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    let passed: BTreeSet<&str> = report["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["result"] == "passed")
        .filter_map(|case| case["case"].as_str()?.split('-').next())
        .collect();
    for part in ["lifecycle", "logs", "exec", "signals", "stats"] {
        assert!(passed.contains(part), "{part} of {passed:?}");
    }
    let left = engine.containers("fleet.workload");
    assert_eq!(left, Vec::<Value>::new());
}
