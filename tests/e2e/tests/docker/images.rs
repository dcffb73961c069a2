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

/// An engine quotes what it cannot read, and that can be anybody's.
const QUOTES: Fault = Fault::Answer(
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 63\r\n\r\n\
      {\"message\":\"error parsing HTTP 404 response body: s3cret-word\"}",
);

#[test]
fn a_fetch_that_fails_is_said_without_the_words_of_others_and_tried_again() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let proxy = Proxy::new(engine.socket());
    let host = host_at(&proxy.address());
    proxy.plan("POST /v1.41/images/create", QUOTES);
    let config = "image = \"ghcr.io/fleet-nowhere/far:1\"\nnetwork = \"none\"";
    Spec::new("far", &["true"])
        .config(config)
        .run(&host, &[])
        .ok();
    wait_for("the fetching", 30, || (proxy.fired() == 1).then_some(()));
    // From now on nobody answers, which is no end either.
    proxy.block("/images/create");
    let shown = wait_for("why", 60, || {
        let shown = host.show("far");
        let is_said = shown["error"]["code"] == "pull-failed";
        let message = shown["message"].as_str().unwrap_or_default();
        (is_said && message.contains("trying again")).then_some(shown)
    });
    assert_eq!(shown["state"], "starting", "{shown:#}");
    let said = shown["error"]["message"].as_str().unwrap();
    for part in ["ghcr.io/fleet-nowhere/far:1", "`docker pull` says why"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!shown.to_string().contains("s3cret-word"), "{shown:#}");
    host.cli(["workload", "rm", "far"]).ok();
}

#[test]
fn from_a_registry_that_is_not_listed_nothing_is_fetched() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let service = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let host = host(engine);
    let image = format!("{}/some/image:1", service.local_addr().unwrap());
    let config = format!("image = \"{image}\"\nnetwork = \"none\"");
    Spec::new("near", &["true"])
        .config(&config)
        .run(&host, &[])
        .ok();
    let failed = host.wait_state("near", "failed");
    assert_eq!(failed["error"]["code"], "registry-not-allowed");
    let said = failed["error"]["message"].as_str().unwrap();
    assert!(said.contains(&format!("docker pull {image}")), "{said}");
    assert!(service.accept().is_err(), "nobody came");
    // What others have fetched under such a name can be used.
    let path = "/images/fleet-test:1/tag?repo=localhost:5000/fleet-near&tag=1";
    let (status, said) = engine.ask("POST", path, None);
    assert_eq!(status, 201, "{said}");
    let config = "image = \"localhost:5000/fleet-near:1\"\nnetwork = \"none\"";
    Spec::new("there", &["true"])
        .config(config)
        .run(&host, &[])
        .ok();
    assert_eq!(host.wait_state("there", "exited")["exit_code"], 0);
    host.cli(["workload", "rm", "--all"]).ok();
    let (status, said) = engine.ask("DELETE", "/images/localhost:5000/fleet-near:1", None);
    assert_eq!(status, 200, "{said}");
}
