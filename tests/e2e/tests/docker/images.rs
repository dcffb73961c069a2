//! Images that an engine does not have: they are fetched, and the way is told.

use fleet_e2e::wait_for;
use fleet_test_engine::Engine;

use crate::proxy::{Fault, Proxy};
use crate::support::{Spec, containers, host, host_at};

/// An engine's answer to a pull, as far as the middle, and the rest.
const FETCHING: Fault = Fault::Slowly(
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
      5c\r\n{\"status\":\"Downloading\",\"progressDetail\":{\"current\":512,\"total\":2048},\"id\":\"c0ffee000001\"}\r\n\r\n",
    b"23\r\n{\"status\":\"Download complete\"}     \r\n0\r\n\r\n",
);

#[test]
fn an_image_is_fetched_and_how_far_it_is_is_told() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let proxy = Proxy::new(engine.socket());
    let host = host_at(&proxy.address());
    proxy.plan("POST /v1.41/images/create", FETCHING);
    let config = "image = \"fleet-fetched:1\"\nnetwork = \"none\"";
    Spec::new("a", &["true"])
        .config(config)
        .run(&host, &[])
        .ok();
    wait_for("how far it is", 30, || {
        let shown = host.show("a");
        let message = shown["message"].as_str().unwrap_or_default();
        message
            .contains("fetching fleet-fetched:1: downloading (512 of 2048)")
            .then_some(())
    });
    let path = "/images/fleet-test:1/tag?repo=fleet-fetched&tag=1";
    let (status, said) = engine.ask("POST", path, None);
    assert_eq!(status, 201, "{said}");
    proxy.release();
    assert_eq!(host.wait_state("a", "exited")["exit_code"], 0);
    host.cli(["workload", "rm", "a"]).ok();
    let (status, said) = engine.ask("DELETE", "/images/fleet-fetched:1", None);
    assert_eq!(status, 200, "{said}");
}

#[test]
fn what_waits_for_its_image_can_be_removed() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let proxy = Proxy::new(engine.socket());
    let host = host_at(&proxy.address());
    proxy.plan("POST /v1.41/images/create", FETCHING);
    let config = "image = \"fleet-never:1\"\nnetwork = \"none\"";
    Spec::new("a", &["true"])
        .config(config)
        .run(&host, &[])
        .ok();
    wait_for("the fetching", 30, || (proxy.fired() == 1).then_some(()));
    let shown = host.show("a");
    host.cli(["workload", "rm", "a"]).ok();
    assert_eq!(containers(engine, &shown), Vec::<String>::new());
    proxy.release();
}

#[test]
fn a_registry_out_of_reach_is_said_and_tried_again() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    // Nothing listens there.
    let config = "image = \"127.0.0.1:9/nowhere:1\"\nnetwork = \"none\"";
    Spec::new("far", &["true"])
        .config(config)
        .run(&host, &[])
        .ok();
    let shown = wait_for("the second try", 60, || {
        let shown = host.show("far");
        let is_said = shown["error"]["code"] == "registry-unreachable";
        let message = shown["message"].as_str().unwrap_or_default();
        (is_said && message.contains("trying again")).then_some(shown)
    });
    assert_eq!(shown["state"], "starting", "{shown:#}");
    let said = shown["error"]["message"].as_str().unwrap();
    for part in [
        "127.0.0.1:9/nowhere:1",
        "connect the machine to the registry",
    ] {
        assert!(said.contains(part), "{said}");
    }
    host.cli(["workload", "rm", "far"]).ok();
}
