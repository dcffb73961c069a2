//! What is asked wrongly, or of an engine that cannot do it, is answered with what to do.

use fleet_e2e::wait_for;
use fleet_test_engine::Engine;

use crate::proxy::{Fault, Proxy};
use crate::support::{Spec, containers, host, host_at};

#[test]
fn what_cannot_be_made_or_started_says_why() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    let image = "image = \"fleet-test:1\"\nnetwork = \"none\"";
    for (name, config, more, command, code, words) in [
        (
            "missing",
            "image = \"nowhere:9\"\npull = \"never\"",
            "",
            &["true"][..],
            "image-missing",
            "nowhere:9",
        ),
        (
            "upper",
            "image = \"UPPER:1\"",
            "",
            &["true"],
            "image-reference",
            "lower case",
        ),
        ("nothing", image, "", &[], "command-missing", "after `--`"),
        (
            "ports",
            image,
            "ports = { http = 80 }",
            &["true"],
            "ports-without-network",
            "network",
        ),
        (
            "label",
            image,
            "labels = { \"fleet.host\" = \"x\" }",
            &["true"],
            "label-reserved",
            "fleet.host",
        ),
        (
            "user",
            "image = \"fleet-test:1\"\nnetwork = \"none\"\nuser = \"nobody9\"",
            "",
            &["true"],
            "user-missing",
            "`user`",
        ),
        (
            "program",
            "image = \"fleet-test:1\"\nnetwork = \"none\"\ninit = false",
            "",
            &["no-such-program"],
            "program-missing",
            "no-such-program",
        ),
    ] {
        Spec::new(name, command)
            .config(config)
            .more(more)
            .run(&host, &[])
            .ok();
        let failed = host.wait_state(name, "failed");
        assert_eq!(failed["error"]["code"], code, "{failed:#}");
        let said = failed["error"]["message"].as_str().unwrap();
        assert!(said.contains(words), "{said}");
    }
    // Those of a config are found before anything is made.
    let refused = Spec::new("typo", &["true"])
        .config("image = \"fleet-test:1\"\nprivileged = true")
        .run(&host, &[]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("privileged"), "{refused:?}");
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn odd_answers_are_asked_again() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let proxy = Proxy::new(engine.socket());
    let host = host_at(&proxy.address());
    let odd: [&'static [u8]; 5] = [
        b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{\"Id\":\"0123",
        b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
        b"garbage\r\n\r\n",
    ];
    for (number, answer) in odd.into_iter().enumerate() {
        proxy.plan("POST /v1.41/containers/create", Fault::Answer(answer));
        let name = format!("odd{number}");
        Spec::new(&name, &["true"]).run(&host, &[]).ok();
        let shown = host.wait_state(&name, "exited");
        assert_eq!(proxy.fired(), number + 1);
        assert_eq!(shown["exit_code"], 0, "{shown:#}");
        assert_eq!(containers(engine, &shown).len(), 1);
    }
    // A look that cannot be understood is no end.
    crate::support::long("stays").run(&host, &["--wait"]).ok();
    proxy.plan(
        "GET /v1.41/containers/",
        Fault::Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n["),
    );
    wait_for("another look", 60, || {
        let _ = host.cli(["workload", "stats", "stays"]);
        (proxy.fired() == 6).then_some(())
    });
    assert_eq!(host.wait_state("stays", "running")["attempt"], 1);
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn a_full_disk_of_the_engine_is_said() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let proxy = Proxy::new(engine.socket());
    let host = host_at(&proxy.address());
    let full = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 77\r\n\r\n{\"message\":\"mkdir /var/lib/docker/overlay2/x: no space left on device 12345\"}";
    proxy.plan("POST /v1.41/containers/create", Fault::Answer(full));
    let spec = Spec::new("full", &["sleep", "86400"]);
    let waited = spec.run(&host, &["--wait"]);
    assert_eq!(proxy.fired(), 1);
    // It is tried again, and by then there is space.
    assert_eq!(waited.code, 0, "{waited:?}");
    host.cli(["workload", "rm", "--all"]).ok();
}
