//! What others do with an engine: they remove, stop and make containers, under any name.

use fleet_e2e::wait_for;
use fleet_test_engine::Engine;
use serde_json::json;

use crate::proxy::{Fault, Proxy};
use crate::support::{attribute, container, containers, host, host_at, long};

#[test]
fn a_container_removed_behind_our_back_is_lost_and_made_anew_where_that_is_wanted() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    long("once").run(&host, &["--wait"]).ok();
    long("always")
        .more("restart = \"always\"")
        .run(&host, &["--wait"])
        .ok();
    for name in ["once", "always"] {
        engine.remove(&container(engine, &host.show(name)));
    }
    let lost = wait_for("it to be over", 60, || {
        let shown = host.show("once");
        matches!(shown["state"].as_str(), Some("lost" | "exited")).then_some(shown)
    });
    assert_eq!(
        containers(engine, &lost),
        Vec::<String>::new(),
        "nothing is made of it"
    );
    let anew = wait_for("another container", 60, || {
        let shown = host.show("always");
        let is_new = shown["attempt"].as_u64() > Some(1) && shown["state"] == "running";
        is_new.then_some(shown)
    });
    container(engine, &anew);
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn a_container_stopped_behind_our_back_says_how_it_ended() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    long("a").run(&host, &["--wait"]).ok();
    let id = container(engine, &host.show("a"));
    let (status, said) = engine.ask("POST", &format!("/containers/{id}/stop?t=5"), None);
    assert_eq!(status, 204, "{said}");
    let shown = host.wait_state("a", "exited");
    assert_eq!(shown["exit_code"], 143);
    // Whoever starts it again starts it for himself: this run is over, and its container goes with it.
    let (status, _) = engine.ask("POST", &format!("/containers/{id}/start"), None);
    assert_eq!(status, 204);
    assert_eq!(host.show("a")["state"], "exited");
    host.cli(["workload", "rm", "a"]).ok();
    assert_eq!(containers(engine, &shown), Vec::<String>::new());
}

#[test]
fn a_foreign_container_of_our_name_is_left_alone_and_said() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let proxy = Proxy::new(engine.socket());
    let host = host_at(&proxy.address());
    proxy.plan("POST /v1.41/containers/create", Fault::Hold);
    long("a").run(&host, &[]).ok();
    wait_for("the create", 30, || (proxy.fired() == 1).then_some(()));
    let shown = host.show("a");
    let workload = shown["id"].as_str().unwrap();
    let name = format!("fleet-{workload}-{}-1", shown["generation"]);
    // It even carries a label as ours do.
    let body = json!({
        "Image": fleet_test_engine::IMAGE, "Cmd": ["sleep", "86400"], "Labels": {"fleet.workload": workload},
        "HostConfig": {"NetworkMode": "none"},
    });
    let foreign = engine.foreign(&name, &body);
    proxy.release();
    let failed = host.wait_state("a", "failed");
    assert_eq!(failed["error"]["code"], "name-taken", "{failed:#}");
    let said = failed["error"]["message"].as_str().unwrap();
    assert!(
        said.contains(&name) && said.contains("docker rename"),
        "{said}"
    );
    host.cli(["workload", "rm", "a"]).ok();
    assert_eq!(
        containers(engine, &shown),
        [foreign.as_str()],
        "it is still there"
    );
    engine.remove(&foreign);
}

#[test]
fn a_create_whose_answer_was_lost_is_found_and_not_doubled() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let proxy = Proxy::new(engine.socket());
    let mut host = host_at(&proxy.address());
    proxy.plan("POST /v1.41/containers/create", Fault::DropAnswer);
    long("cut").run(&host, &["--wait"]).ok();
    assert_eq!(proxy.fired(), 1, "its answer was dropped");
    let shown = host.show("cut");
    let id = container(engine, &shown);
    assert_eq!(attribute(&shown, "container-id"), Some(id.as_str()));

    // The host dies while the engine makes it, and finds it when it is back.
    proxy.plan("POST /v1.41/containers/create", Fault::Hold);
    long("killed").run(&host, &[]).ok();
    wait_for("the create", 30, || (proxy.fired() == 2).then_some(()));
    let early = host.show("killed");
    host.kill();
    proxy.release();
    wait_for("the container nobody heard of", 30, || {
        (containers(engine, &early).len() == 1).then_some(())
    });
    let id = container(engine, &early);
    host.start_again();
    let after = host.wait_state("killed", "running");
    assert_eq!(container(engine, &after), id, "no other was made");
    assert_eq!(attribute(&after, "container-id"), Some(id.as_str()));

    // The same for a start.
    proxy.plan("POST /v1.41/containers/", Fault::DropAnswer);
    long("start").run(&host, &["--wait"]).ok();
    assert_eq!(proxy.fired(), 3);
    container(engine, &host.show("start"));
    host.cli(["workload", "rm", "--all"]).ok();
    assert_eq!(containers(engine, &after), Vec::<String>::new());
}

/// As after a crash in the middle of a create: the engine has it, and the host wrote down only its nonce.
#[test]
fn a_container_whose_creation_the_host_did_not_hear_of_is_removed_and_not_only_said_to_be() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let mut host = host(engine);
    long("a").run(&host, &["--wait"]).ok();
    let shown = host.show("a");
    let id = container(engine, &shown);
    host.kill();
    let owned = host.data().join("endpoints/docker/owned");
    let files: Vec<_> = std::fs::read_dir(owned).unwrap().collect();
    assert_eq!(files.len(), 1);
    for file in files {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    host.start_again();
    let lost = host.wait_state("a", "lost");
    assert_eq!(containers(engine, &lost), [id.as_str()]);
    host.cli(["workload", "rm", "a"]).ok();
    wait_for("its removal", 30, || {
        containers(engine, &shown).is_empty().then_some(())
    });
}
