//! A container whose answer was lost, and what others could pass off as one.

use std::path::PathBuf;

use fleet_capability::endpoint::Request;
use serde_json::json;

use crate::world::{World, endpoints, other, own};

/// The host dies after the engine has made a container and before it has written the id down.
#[tokio::test]
async fn a_container_whose_answer_was_lost_is_taken_over_by_its_nonce_alone() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let id = world.make(other(), "true").await;
    let files = |part: &str| -> Vec<PathBuf> {
        let folder = world.folder.path().join("endpoints/docker").join(part);
        let listing = std::fs::read_dir(folder).unwrap();
        listing.map(|entry| entry.unwrap().path()).collect()
    };
    let forgotten = [files("owned"), files("answers")].concat();
    assert!(!forgotten.is_empty(), "the fault is there to be made");
    for file in forgotten {
        std::fs::remove_file(file).unwrap();
    }
    world.endpoints = endpoints(world.folder.path());
    let look = || Request::new("GET", &format!("/v1.41/containers/{id}/json"));
    let asks = world.call(other(), "start", false);
    let denied = world.endpoints.get(&asks, look()).await.unwrap_err();
    assert_eq!(denied.code, "refused-by-rule", "not ours yet");

    // Nobody else gets it: not another workload, not another plugin.
    for (whose, by_stranger) in [(own(), false), (other(), true)] {
        let call = world.call(whose, "create", by_stranger);
        let denied = world.endpoints.send(&call, look()).await.unwrap_err();
        assert_eq!(denied.code, "not-adoptable", "{denied:?}");
    }
    let call = world.call(other(), "create", false);
    let taken = world.endpoints.send(&call, look()).await.unwrap();
    assert_eq!(taken.status, 200);
    let seen = world.endpoints.get(&asks, look()).await.unwrap();
    assert_eq!(seen.status, 200, "ours from now on");
}

/// An image made of one of ours carries all our labels, the nonce among them; so does each container
/// that somebody runs from it.
#[tokio::test]
async fn a_copy_of_one_of_ours_is_not_ours() {
    let Some(world) = World::new().await else {
        return;
    };
    let own_id = world.names.get("own");
    let commit = format!("/commit?container={own_id}&repo=copy&tag=1");
    world.ask("POST", &commit, None);
    let body = json!({ "Image": "copy:1", "HostConfig": { "NetworkMode": "none" } });
    let copy = world.engine.foreign("copy", &body);
    let inspect = |id: &str| world.ask("GET", &format!("/containers/{id}/json"), None);
    let labels = |id: &str| inspect(id)["Config"]["Labels"].clone();
    assert_eq!(labels(&copy), labels(own_id), "the forgery is perfect");
    let before = inspect(&copy);
    let look = Request::new("GET", &format!("/v1.41/containers/{copy}/json"));
    for (verb, code) in [("create", "not-adoptable"), ("start", "refused-by-rule")] {
        let call = world.call(own(), verb, false);
        let denied = world.endpoints.send(&call, look.clone()).await;
        assert_eq!(denied.unwrap_err().code, code);
    }
    let kill = Request::new("POST", &format!("/v1.41/containers/{copy}/kill"));
    let call = world.call(own(), "kill", false);
    let denied = world
        .endpoints
        .send(&call, kill.query("signal", "KILL"))
        .await;
    assert_eq!(denied.unwrap_err().code, "refused-by-rule");
    assert_eq!(inspect(&copy), before);
}
