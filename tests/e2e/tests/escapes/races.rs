//! Ids and names that change hands while somebody asks for them.

use fleet_capability::endpoint::Request;
use fleet_model::ErrorKind;
use fleet_test_engine::IMAGE;
use serde_json::{Value, json};

use crate::world::{SCRIPT, World, made, other, own};

fn on(method: &str, id: &str, what: &str) -> Request {
    Request::new(method, &format!("/v1.41/containers/{id}{what}"))
}

/// The operator removes ours and gives its name to another.
#[tokio::test]
async fn a_name_that_changed_hands_leads_to_nobody() {
    let Some(world) = World::new().await else {
        return;
    };
    let (id, name) = (world.names.get("own"), world.names.get("own-name"));
    world.engine.remove(id);
    let body = json!({ "Image": IMAGE, "Cmd": ["sleep", "3600"], "HostConfig": { "NetworkMode": "none" } });
    let theirs = world.engine.foreign(name, &body);
    world.ask("POST", &format!("/containers/{theirs}/start"), None);
    let inspect = || world.ask("GET", &format!("/containers/{theirs}/json"), None);
    let before = inspect();

    // By the id it had: the engine knows nobody of this id.
    let kill = on("POST", id, "/kill").query("signal", "KILL");
    let call = world.call(own(), "kill", false);
    let answer = world.endpoints.send(&call, kill).await.unwrap();
    assert_eq!(answer.status, 404);
    // By the name: the host passes none on.
    let kill = on("POST", name, "/kill").query("signal", "KILL");
    let denied = world.endpoints.send(&call, kill).await.unwrap_err();
    assert_eq!(denied.code, "refused-by-rule");
    // The same create again is answered as it was, and makes nothing of theirs ours.
    let again = world.make(own(), SCRIPT).await;
    assert_eq!(again, id);
    let call = world.call(own(), "create", false);
    let denied = world
        .endpoints
        .send(&call, on("GET", &theirs, "/json"))
        .await;
    assert_eq!(denied.unwrap_err().code, "not-adoptable");
    assert_eq!(inspect(), before);
}

/// Somebody takes the name that the host will choose before it does.
#[tokio::test]
async fn a_name_taken_in_advance_is_left_to_its_owner() {
    let Some(world) = World::new().await else {
        return;
    };
    let name = format!("fleet-{}-3-1", other());
    let body =
        json!({ "Image": "labelled:1", "Cmd": ["true"], "HostConfig": { "NetworkMode": "none" } });
    let theirs = world.engine.foreign(&name, &body);
    let before = world.state();
    let create = Request::new("POST", "/v1.41/containers/create")
        .body(json!({ "Image": IMAGE, "Cmd": ["true"], "HostConfig": { "NetworkMode": "none" } }));
    let call = world.call(other(), "create", false);
    let answer = world.endpoints.send(&call, create).await.unwrap();
    assert_eq!(answer.status, 409);
    let denied = world
        .endpoints
        .send(&call, on("GET", &theirs, "/json"))
        .await;
    assert_eq!(denied.unwrap_err().code, "not-adoptable");
    assert_eq!(world.state(), before);
}

/// While one is removed, many ask for it: each answer is about it or about nothing, and none comes
/// once the removal was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_id_is_nobodys_from_its_removal_on() {
    let Some(world) = World::new().await else {
        return;
    };
    let id = world.names.get("own");
    let call = world.call(own(), "destroy", false);
    let looked = tokio::sync::Barrier::new(4);
    let look = async || {
        for turn in 0_u32.. {
            let call = world.call(own(), "start", false);
            match world.endpoints.get(&call, on("GET", id, "/json")).await {
                Ok(answer) if answer.status == 200 => {
                    let body: Value = serde_json::from_slice(&answer.body).unwrap();
                    assert_eq!(body["Id"], *id);
                }
                Ok(answer) => assert_eq!(answer.status, 404),
                Err(error) => {
                    let is_gone = [ErrorKind::Denied, ErrorKind::NotFound].contains(&error.kind);
                    assert!(is_gone && turn > 0, "{error:?}");
                    return;
                }
            }
            if turn == 0 {
                looked.wait().await;
            }
        }
    };
    let remove = async {
        looked.wait().await;
        let remove = on("DELETE", id, "").query("force", "1").query("v", "1");
        let answer = world.endpoints.send(&call, remove).await.unwrap();
        assert_eq!(answer.status, 204);
        let answer = world.endpoints.get(&call, on("GET", id, "/json")).await;
        assert!(answer.is_err(), "{answer:?}");
    };
    let all = async { tokio::join!(look(), look(), look(), remove) };
    let long = std::time::Duration::from_secs(30);
    tokio::time::timeout(long, all)
        .await
        .expect("each is refused in the end");
}

/// The same op, asked for by many at once, makes one container.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_op_makes_one_container_however_many_ask() {
    let Some(world) = World::new().await else {
        return;
    };
    let create = || {
        let body =
            json!({ "Image": IMAGE, "Cmd": ["true"], "HostConfig": { "NetworkMode": "none" } });
        Request::new("POST", "/v1.41/containers/create").body(body)
    };
    let call = world.call(other(), "create", false);
    let asks = (0..8).map(|_| world.endpoints.send(&call, create()));
    let answers = futures::future::join_all(asks).await;
    let ids: Vec<String> = answers
        .into_iter()
        .map(|answer| made(&answer.unwrap()))
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let label = format!("fleet.workload={}", other());
    assert_eq!(world.engine.containers(&label).len(), 1);
}
