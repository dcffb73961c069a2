//! What is made under the policy, as the engine tells its owner.

use fleet_capability::endpoint::Request;
use serde_json::json;

use crate::world::{World, made, other, own};

#[tokio::test]
async fn a_container_is_as_confined_as_the_policy_says() {
    let Some(world) = World::new().await else {
        return;
    };
    let seen = world.ask(
        "GET",
        &format!("/containers/{}/json", world.names.get("own")),
        None,
    );
    let host = &seen["HostConfig"];
    for (key, want) in [
        ("Privileged", json!(false)),
        (
            "CapDrop",
            json!(["AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP"]),
        ),
        ("SecurityOpt", json!(["no-new-privileges"])),
        ("PidMode", json!("")),
        ("IpcMode", json!("private")),
        ("CgroupnsMode", json!("private")),
        ("Memory", json!(67_108_864)),
        ("MemorySwap", json!(67_108_864)),
        ("PidsLimit", json!(64)),
        (
            "RestartPolicy",
            json!({ "Name": "no", "MaximumRetryCount": 0 }),
        ),
        ("AutoRemove", json!(false)),
    ] {
        assert_eq!(host[key], want, "{key}");
    }
    let mounts = seen["Mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 1, "{mounts:?}");
    assert_eq!(mounts[0]["Source"], world.names.get("workspace"));
    assert_eq!(mounts[0]["Propagation"], "rprivate");
    assert_eq!(
        host["PortBindings"]["8080/tcp"],
        json!([{ "HostIp": "127.0.0.1", "HostPort": "31000" }])
    );
    assert_eq!(
        seen["Config"]["Labels"]["fleet.workload"],
        own().to_string()
    );
    assert_eq!(seen["State"]["Running"], true);
}

/// What an image says of its owner is overwritten.
#[tokio::test]
async fn labels_of_an_image_are_not_those_of_the_container() {
    let Some(world) = World::new().await else {
        return;
    };
    let request = Request::new("POST", "/v1.41/containers/create").body(json!({
        "Image": "labelled:1", "Cmd": ["true"], "HostConfig": { "NetworkMode": "none" },
    }));
    let call = world.call(other(), "create", false);
    let id = made(&world.endpoints.send(&call, request).await.unwrap());
    let seen = world.ask("GET", &format!("/containers/{id}/json"), None);
    let labels = &seen["Config"]["Labels"];
    assert_eq!(labels["fleet.workload"], other().to_string());
    assert_ne!(labels["fleet.nonce"], "0".repeat(32));
}
