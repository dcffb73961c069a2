//! The shipped policy for container engines, before an engine with much in it.

use std::path::Path;

use fleet_capability::endpoint::Request;
use fleet_model::Verb;
use serde_json::{Value, json};

use crate::harness::{World, text};
use crate::server::{Heard, Reply};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn world() -> World {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/docker.toml");
    World::under(&std::fs::read_to_string(file).unwrap())
}

fn create(words: &[String]) -> Request {
    Request::new("POST", "/v1.41/containers/create")
        .body(json!({"Image": "a", "Cmd": words, "HostConfig": {"NetworkMode": "none"}}))
}

/// What may be created can be looked at: an engine tells the words of a command twice.
#[tokio::test]
async fn a_container_with_a_long_command_is_made_found_and_looked_at() {
    let world = world();
    // 2 MiB, which admission takes; each byte is two in JSON.
    let words: Vec<String> = (0..16).map(|_| "\\".repeat(131_000)).collect();
    let known = json!({
        "Id": ID, "Name": "/x", "State": {"Status": "running"}, "Args": words, "Config": {"Cmd": words, "Tty": false},
    });
    let row = json!({"Id": ID, "Names": ["/x"], "Command": words.concat(), "Labels": {}});
    let _server = world.serve(move |heard: &Heard| match heard.target.as_str() {
        target if target.starts_with("/v1.41/containers/create") => {
            let sent: Value = serde_json::from_str(&heard.body).unwrap();
            assert_eq!(sent["Cmd"], known["Args"]);
            Reply::Json(201, json!({"Id": ID}).to_string())
        }
        target if target.contains(ID) => Reply::Json(200, known.to_string()),
        _ => Reply::Json(200, json!([row]).to_string()),
    });
    let words: Vec<String> = (0..16).map(|_| "\\".repeat(131_000)).collect();
    let call = world.effect(1, 1, Verb::Create);
    let made = world.endpoints.send(&call, create(&words)).await.unwrap();
    assert_eq!(made.status, 201);
    let seen = world.get(&format!("/v1.41/containers/{ID}/json")).await;
    let seen: Value = serde_json::from_str(text(&seen.unwrap())).unwrap();
    assert_eq!(seen["State"]["Status"], "running");
    assert_eq!(seen["Args"], Value::Null);
    let workload = call.op.as_ref().unwrap().item.key.clone();
    let find = Request::new("GET", "/v1.41/containers/json").query("all", "1");
    for request in [find.clone(), find.query("workload", &workload)] {
        let rows = world.endpoints.get(&world.look(), request).await.unwrap();
        let rows: Value = serde_json::from_str(text(&rows)).unwrap();
        assert_eq!(rows[0]["Id"], ID);
    }
    // What is longer still is refused by its size, which the plugin knows.
    let words = vec!["x".repeat(131_000); 33];
    let error = world.endpoints.send(&call, create(&words)).await;
    let error = error.unwrap_err();
    assert_eq!(error.details["at"], "body");
    assert_eq!(error.details["allowed"], "4194304 bytes");
}

#[tokio::test]
async fn a_thousand_containers_are_listed() {
    let world = world();
    let label = json!(world.endpoints.host());
    let rows = (0..1_000).map(|number| {
        let labels = json!({"fleet.host": label, "much": "x".repeat(16_000)});
        json!({"Id": format!("{number:064x}"), "Names": ["/x"], "Labels": labels})
    });
    let rows = Value::Array(rows.collect()).to_string();
    let _server = world.serve(move |_: &Heard| Reply::Json(200, rows.clone()));
    let list = Request::new("GET", "/v1.41/containers/json").query("all", "1");
    let listed = world.endpoints.get(&world.look(), list).await.unwrap();
    let listed: Value = serde_json::from_str(text(&listed)).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1_000);
    assert_eq!(listed[999]["Labels"], json!({"fleet.host": label}));
}
