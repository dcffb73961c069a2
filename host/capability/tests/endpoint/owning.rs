//! Whose something is: over restarts, over lost answers, against forgeries.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fleet_capability::endpoint::Request;
use fleet_model::{ErrorKind, Verb};
use serde_json::{Value, json};

use crate::harness::{A, B, PART, World, code, text};
use crate::server::{Heard, Reply};

fn made(heard: &Heard) -> Reply {
    match (heard.method.as_str(), heard.target.as_str()) {
        ("POST", "/things") => Reply::Json(201, json!({"id": A}).to_string()),
        ("POST", target) if target.ends_with("/parts") => {
            Reply::Json(201, json!({"id": PART}).to_string())
        }
        ("DELETE", _) => Reply::Json(204, String::new()),
        ("GET", "/things") => Reply::Json(200, "[]".to_owned()),
        _ => Reply::Json(200, json!({"id": A, "state": "up", "pid": 1}).to_string()),
    }
}

#[tokio::test]
async fn what_was_made_is_owned_over_a_restart_until_it_is_released() {
    let mut world = World::new();
    let server = world.serve(made);
    world.make().await.unwrap();
    let part = Request::new("POST", &format!("/things/{A}/parts"));
    world
        .endpoints
        .send(&world.effect(1, 1, Verb::Exec), part)
        .await
        .unwrap();
    world.restart();
    let thing = format!("/things/{A}");
    assert_eq!(world.get(&thing).await.unwrap().status, 200);
    assert_eq!(
        world.get(&format!("/parts/{PART}")).await.unwrap().status,
        200
    );
    // Neither another plugin nor another workload has it.
    let mut stranger = world.look();
    stranger.plugin = "q".parse().unwrap();
    let look = || Request::new("GET", &thing);
    assert_eq!(
        code(world.endpoints.get(&stranger, look()).await),
        "refused-by-rule"
    );
    let remove = || Request::new("DELETE", &thing);
    let other = world.effect(2, 1, Verb::Destroy);
    assert_eq!(
        code(world.endpoints.send(&other, remove()).await),
        "refused-by-rule"
    );
    let own = world.effect(1, 1, Verb::Destroy);
    assert_eq!(
        world.endpoints.send(&own, remove()).await.unwrap().status,
        204
    );
    for _ in 0..2 {
        assert_eq!(code(world.get(&thing).await), "refused-by-rule");
        assert_eq!(
            code(world.get(&format!("/parts/{PART}")).await),
            "refused-by-rule"
        );
        world.restart();
    }
    assert_eq!(server.lines().len(), 5);
}

#[tokio::test]
async fn what_is_gone_behind_our_back_is_released_too() {
    let world = World::new();
    let _server = world.serve(|heard| match heard.method.as_str() {
        "DELETE" => Reply::Json(404, json!({"message": "no such thing"}).to_string()),
        _ => made(heard),
    });
    world.make().await.unwrap();
    let remove = Request::new("DELETE", &format!("/things/{A}"));
    let gone = world
        .endpoints
        .send(&world.effect(1, 1, Verb::Destroy), remove)
        .await
        .unwrap();
    assert_eq!(gone.status, 404);
    assert_eq!(
        code(world.get(&format!("/things/{A}")).await),
        "refused-by-rule"
    );
}

#[tokio::test]
async fn an_op_is_sent_once_and_answered_the_same() {
    let mut world = World::new();
    let server = world.serve(made);
    let first = world.make().await.unwrap();
    assert_eq!(world.make().await.unwrap(), first);
    world.restart();
    assert_eq!(world.make().await.unwrap(), first);
    assert_eq!(server.lines(), ["POST /things"]);
    let next = world.effect(1, 2, Verb::Create);
    let request = Request::new("POST", "/things").body("{}");
    world.endpoints.send(&next, request).await.unwrap();
    assert_eq!(server.lines().len(), 2, "another try is another op");
}

#[tokio::test]
async fn many_of_one_op_at_once_are_one() {
    let world = World::new();
    let server = world.serve(made);
    let answers = futures::future::join_all((0..20).map(|_| world.make())).await;
    assert!(
        answers
            .into_iter()
            .all(|answer| answer.unwrap().status == 201)
    );
    assert_eq!(server.lines(), ["POST /things"]);
}

#[tokio::test]
async fn an_answer_that_is_no_success_is_not_kept() {
    let world = World::new();
    let is_there = Arc::new(Mutex::new(false));
    let known = is_there.clone();
    let server = world.serve(move |heard| {
        if *known.lock().unwrap() {
            made(heard)
        } else {
            Reply::Json(404, json!({"message": "no such image"}).to_string())
        }
    });
    assert_eq!(world.make().await.unwrap().status, 404);
    *is_there.lock().unwrap() = true;
    assert_eq!(world.make().await.unwrap().status, 201);
    assert_eq!(server.lines().len(), 2);
}

/// A service that makes things and loses its answers.
fn forgetful() -> (
    Arc<Mutex<Vec<Value>>>,
    impl Fn(&Heard) -> Reply + Send + Sync + 'static,
) {
    let made: Arc<Mutex<Vec<Value>>> = Arc::default();
    let things = made.clone();
    let answers = move |heard: &Heard| {
        let mut things = things.lock().unwrap();
        match (heard.method.as_str(), heard.target.as_str()) {
            ("POST", "/things") => {
                let body: Value = serde_json::from_str(&heard.body).unwrap();
                things.push(json!({"id": A, "labels": body["labels"], "private": false}));
                Reply::Close
            }
            ("GET", target) if target.starts_with("/things?") => {
                Reply::Json(200, Value::Array(things.clone()).to_string())
            }
            ("GET", target) => {
                let id = target.rsplit('/').next().unwrap();
                let found = things.iter().find(|thing| thing["id"] == id);
                found.map_or_else(
                    || Reply::Json(404, "{}".to_owned()),
                    |thing| Reply::Json(200, thing.to_string()),
                )
            }
            _ => Reply::Close,
        }
    };
    (made, answers)
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_by_its_nonce() {
    let mut world = World::new();
    let (things, answers) = forgetful();
    let _server = world.serve(answers);
    assert_eq!(code(world.make().await), "cut-short");
    assert_eq!(things.lock().unwrap().len(), 1, "it was made");
    world.restart();
    // A foreign thing that has our label, and the row of nobody.
    let mut forged = things.lock().unwrap()[0].clone();
    forged["id"] = json!(B);
    forged["labels"]["nonce"] = json!("0".repeat(32));
    things
        .lock()
        .unwrap()
        .extend([forged, json!({"id": PART, "labels": {}})]);
    let rows = world.get("/things").await.unwrap();
    assert_eq!(text(&rows), json!([{"id": A}, {"id": B}]).to_string());

    let adopt = |id: &str| Request::new("GET", &format!("/things/{id}"));
    let own = world.effect(1, 1, Verb::Create);
    let other = world.effect(2, 1, Verb::Create);
    for (call, id) in [(&own, B), (&own, PART), (&other, A)] {
        let error = world.endpoints.send(call, adopt(id)).await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Denied, "not-adoptable")
        );
    }
    let missing = world
        .endpoints
        .send(&own, adopt(&"0".repeat(32)))
        .await
        .unwrap();
    assert_eq!(missing.status, 404);
    assert_eq!(
        code(world.get(&format!("/things/{A}")).await),
        "refused-by-rule"
    );
    // Also by a later try, and when what it is for is to remove it.
    let later = world.effect(1, 7, Verb::Destroy);
    assert_eq!(
        world.endpoints.send(&later, adopt(A)).await.unwrap().status,
        200
    );
    assert_eq!(
        world.endpoints.send(&own, adopt(A)).await.unwrap().status,
        200
    );
    assert_eq!(
        world.get(&format!("/things/{A}")).await.unwrap().status,
        200
    );
    let counted = world
        .endpoints
        .verdicts()
        .into_iter()
        .filter(|((.., rule, verdict), _)| rule == "adopt" && *verdict == "not-adoptable");
    assert_eq!(counted.map(|(_, count)| count).sum::<u64>(), 3);
}

#[tokio::test]
async fn what_holds_the_nonce_but_not_what_was_forced_is_not_ours() {
    let world = World::new();
    let (things, answers) = forgetful();
    let _server = world.serve(answers);
    assert_eq!(code(world.make().await), "cut-short");
    things.lock().unwrap()[0]["private"] = json!(true);
    let adopt = Request::new("GET", &format!("/things/{A}"));
    let own = world.effect(1, 1, Verb::Create);
    assert_eq!(
        code(world.endpoints.send(&own, adopt).await),
        "not-adoptable"
    );
}

#[tokio::test]
async fn the_nonce_of_an_op_stays_the_same() {
    let mut world = World::new();
    let (things, answers) = forgetful();
    let _server = world.serve(answers);
    for _ in 0..2 {
        assert_eq!(code(world.make().await), "cut-short");
        world.restart();
    }
    let things = things.lock().unwrap();
    assert_eq!(things[0]["labels"]["nonce"], things[1]["labels"]["nonce"]);
}

#[tokio::test]
async fn an_id_that_a_service_gives_twice_stays_with_its_first_owner() {
    let world = World::new();
    let _server = world.serve(made);
    world.make().await.unwrap();
    let other = world.effect(2, 1, Verb::Create);
    let request = Request::new("POST", "/things").body("{}");
    assert_eq!(
        code(world.endpoints.send(&other, request).await),
        "owned-elsewhere"
    );
    let remove = Request::new("DELETE", &format!("/things/{A}"));
    assert_eq!(
        code(
            world
                .endpoints
                .send(&world.effect(2, 1, Verb::Destroy), remove)
                .await
        ),
        "refused-by-rule"
    );
}

#[tokio::test]
async fn a_signal_goes_only_to_what_is_in_the_things_cgroup() {
    let world = World::new();
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let pid = child.id();
    let _server = world.serve(move |heard| match heard.method.as_str() {
        "GET" => Reply::Json(200, json!({"running": true, "pid": pid}).to_string()),
        _ => made(heard),
    });
    world.make().await.unwrap();
    let part = Request::new("POST", &format!("/things/{A}/parts"));
    let exec = world.effect(1, 1, Verb::Exec);
    world.endpoints.send(&exec, part).await.unwrap();
    let signal =
        |name: &str| Request::new("POST", &format!("/parts/{PART}/signal")).query("signal", name);
    let signalled = world.endpoints.send(&exec, signal("KILL")).await;
    assert_eq!(code(signalled), "foreign-process");
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        code(world.endpoints.send(&exec, signal("KILL")).await),
        "no-process"
    );
}

#[tokio::test]
async fn a_signal_waits_for_the_pid_of_what_was_just_started() {
    let world = World::new();
    let looks = Arc::new(AtomicUsize::new(0));
    let seen = looks.clone();
    let _server = world.serve(move |heard| match heard.method.as_str() {
        "GET" => {
            let said = match seen.fetch_add(1, Ordering::Relaxed) {
                0 => json!({"running": true}),
                1 => json!({"running": true, "pid": 0}),
                _ => json!({"running": false, "pid": 0}),
            };
            Reply::Json(200, said.to_string())
        }
        _ => made(heard),
    });
    world.make().await.unwrap();
    let part = Request::new("POST", &format!("/things/{A}/parts"));
    let exec = world.effect(1, 1, Verb::Exec);
    world.endpoints.send(&exec, part).await.unwrap();
    let signal = Request::new("POST", &format!("/parts/{PART}/signal")).query("signal", "TERM");
    let signalled = world.endpoints.send(&exec, signal).await;
    assert_eq!(code(signalled), "no-process");
    assert_eq!(looks.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_pid_that_is_another_processs_by_now_gets_no_signal() {
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let pid = child.id();
    // It has ended before the signal, or between the first look and it; the pid is told all the same.
    for (running, looked) in [(0, 1), (1, 2)] {
        let world = World::new();
        let looks = Arc::new(AtomicUsize::new(0));
        let seen = looks.clone();
        let _server = world.serve(move |heard| match heard.method.as_str() {
            "GET" => {
                let running = seen.fetch_add(1, Ordering::Relaxed) < running;
                Reply::Json(200, json!({"running": running, "pid": pid}).to_string())
            }
            _ => made(heard),
        });
        world.make().await.unwrap();
        let part = Request::new("POST", &format!("/things/{A}/parts"));
        let exec = world.effect(1, 1, Verb::Exec);
        world.endpoints.send(&exec, part).await.unwrap();
        let signal = Request::new("POST", &format!("/parts/{PART}/signal")).query("signal", "KILL");
        let signalled = world.endpoints.send(&exec, signal).await;
        assert_eq!(code(signalled), "no-process");
        assert_eq!(looks.load(Ordering::Relaxed), looked);
        let counted = world.endpoints.verdicts().into_iter();
        let counted = counted.filter(|((.., rule, _), _)| rule == "part-look");
        assert_eq!(counted.map(|(_, count)| count).sum::<u64>(), looked as u64);
    }
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_nonce_is_written_down_before_the_service_hears_it() {
    let world = World::new();
    let folder = world.root.path().join("e/service/nonces");
    let found: Arc<Mutex<Vec<bool>>> = Arc::default();
    let tell = found.clone();
    let _server = world.serve(move |heard| {
        let body: Value = serde_json::from_str(&heard.body).unwrap();
        let nonce = body["labels"]["nonce"].as_str().unwrap();
        let mut files = std::fs::read_dir(&folder).unwrap();
        let is_there = files.any(|file| {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            text.contains(nonce)
        });
        tell.lock().unwrap().push(is_there);
        made(heard)
    });
    world.make().await.unwrap();
    assert_eq!(*found.lock().unwrap(), [true]);
}

/// Puts a file where a folder of the host was, so that nothing can be written there.
fn block(world: &World, folder: &str) -> impl FnOnce() {
    let path = world.root.path().join("e/service").join(folder);
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    std::fs::write(&path, "").unwrap();
    move || {
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&away, &path).unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_written_down_is_neither_sent_nor_passed_on() {
    let world = World::new();
    let server = world.serve(made);
    world.get("/things").await.unwrap();
    let heal = block(&world, "nonces");
    let error = world.make().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert_eq!(server.lines().len(), 1, "it was not sent");
    heal();
    for folder in ["owned", "answers"] {
        let heal = block(&world, folder);
        let sent = server.lines().len();
        let error = world.make().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert_eq!(server.lines().len(), sent + 1, "it was sent");
        heal();
        let known = world.get(&format!("/things/{A}")).await;
        assert_eq!(known.is_ok(), folder == "answers");
    }
    assert_eq!(world.make().await.unwrap().status, 201);
}
