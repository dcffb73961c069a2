//! One container's life, as its user sees it and as the engine does.

use fleet_e2e::{http_get, is_alive, wait_for};
use fleet_test_engine::Engine;

use crate::support::{Spec, attribute, container, containers, host, long, printed};

#[test]
fn a_container_lives_as_a_workload() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    let script = "echo \"$FLEET_WORKLOAD_NAME $GREETING $(id -u) $1\"; pwd; echo err >&2; echo made > file; exec sleep 86400";
    let script = script.replace("$(", "$$(");
    let said = Spec::new("a", &["sh", "-c", &script, "sh", "word"])
        .config("image = \"fleet-test:1\"\nnetwork = \"none\"\nuser = \"root\"\nworkdir = \"/workspace\"")
        .more("labels = { tier = \"front\" }\nenv = { GREETING = \"hello\" }")
        .run(&host, &["--wait"])
        .ok();
    assert_eq!(said.stderr, "", "nothing to complain about");
    let shown = host.show("a");
    assert_eq!(shown["state"], "running");
    let id = container(engine, &shown);
    assert_eq!(attribute(&shown, "container-id"), Some(id.as_str()));
    let pid: u32 = attribute(&shown, "pid").unwrap().parse().unwrap();
    assert!(is_alive(pid));

    // What it prints and writes is where everything else's is.
    let log = printed(&host, "a", "/workspace");
    assert!(log.contains("a hello 0 word\n"), "{log}");
    let log = host.cli(["workload", "logs", "a"]).ok();
    assert_eq!(log.stderr, "err\n");
    let workload = shown["id"].as_str().unwrap();
    let file = host
        .data()
        .join("workloads")
        .join(workload)
        .join("workspace/file");
    wait_for("its file", 20, || {
        (std::fs::read_to_string(&file).ok()? == "made\n").then_some(())
    });

    // What the engine was told of it.
    let (_, seen) = engine.ask("GET", &format!("/containers/{id}/json"), None);
    let labels = &seen["Config"]["Labels"];
    let generation = shown["generation"].to_string();
    assert_eq!(seen["Name"], format!("/fleet-{workload}-{generation}-1"));
    assert_eq!(labels["tier"], "front");
    assert_eq!(labels["fleet.workload"], workload);
    assert_eq!(labels["fleet.generation"], generation.as_str());
    assert_eq!(seen["HostConfig"]["Privileged"], false);
    assert_eq!(seen["HostConfig"]["RestartPolicy"]["Name"], "no");

    // A stop asks, and the way it ended is told; a start is another container.
    host.cli(["workload", "stop", "a"]).ok();
    let stopped = host.show("a");
    assert_eq!(
        (&stopped["state"], &stopped["exit_code"]),
        (&"exited".into(), &143.into())
    );
    assert_eq!(attribute(&stopped, "signal"), Some("TERM"));
    assert!(!is_alive(pid));
    host.cli(["workload", "start", "a"]).ok();
    let again = host.show("a");
    assert_eq!(again["state"], "running");
    assert_ne!(attribute(&again, "container-id"), Some(id.as_str()));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "made\n",
        "its files stayed"
    );

    host.cli(["workload", "rm", "a"]).ok();
    assert_eq!(containers(engine, &shown), Vec::<String>::new());
    assert_eq!(host.cli(["workload", "show", "a"]).code, 3);
}

#[test]
fn codes_and_signals_are_told_and_what_ignores_term_is_killed() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    Spec::new("three", &["sh", "-c", "exit 3"])
        .run(&host, &[])
        .ok();
    Spec::new("hit", &["sh", "-c", "kill -SEGV $$"])
        .run(&host, &[])
        .ok();
    let stubborn = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    Spec::new("stubborn", &["sh", "-c", stubborn])
        .run(&host, &["--wait"])
        .ok();
    printed(&host, "stubborn", "ready");
    host.cli(["workload", "stop", "stubborn", "--grace", "300ms"])
        .ok();
    for (name, code, signal) in [
        ("three", 3, None),
        ("hit", 139, Some("SEGV")),
        ("stubborn", 137, Some("KILL")),
    ] {
        let shown = host.wait_state(name, "exited");
        assert_eq!(shown["exit_code"], code, "{shown:#}");
        assert_eq!(attribute(&shown, "signal"), signal);
        assert_eq!(attribute(&shown, "oom"), None);
    }
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn a_published_port_is_on_the_loopback_and_the_program_finds_its_own() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    let serve = "echo page > /tmp/index.html; exec httpd -f -p $PORT_HTTP -h /tmp";
    Spec::new("web", &["sh", "-c", serve])
        .config("image = \"fleet-test:1\"")
        .more("ports = { http = 80 }")
        .run(&host, &["--wait"])
        .ok();
    let shown = host.show("web");
    let port = shown["ports"]["http"].as_u64().unwrap();
    assert_ne!(port, 80);
    let page = wait_for("the page", 20, || {
        http_get(&format!("127.0.0.1:{port}"), "/", None)
    });
    assert_eq!(page, (200, "page\n".to_owned()));
    let (_, seen) = engine.ask(
        "GET",
        &format!("/containers/{}/json", container(engine, &shown)),
        None,
    );
    assert_eq!(
        seen["HostConfig"]["PortBindings"]["80/tcp"][0]["HostIp"],
        "127.0.0.1"
    );
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn containers_and_processes_run_side_by_side() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let mut host = host(engine);
    long("box").run(&host, &["--wait"]).ok();
    host.cli("workload run --name plain --wait -- sleep 86400".split(' '))
        .ok();
    let before = [host.show("box"), host.show("plain")];
    host.kill();
    host.start_again();
    for shown in before {
        let name = shown["name"].as_str().unwrap();
        let after = host.wait_state(name, "running");
        assert_eq!(attribute(&after, "pid"), attribute(&shown, "pid"), "{name}");
    }
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn a_read_only_container_writes_to_its_workspace_and_memory_alone() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    let script = "touch /x 2>/dev/null && echo root; touch /workspace/x && echo workspace; touch /tmp/x && echo memory; touch /srv/x && echo srv; id -un; echo over";
    Spec::new("tight", &["sh", "-c", script])
        .config("image = \"fleet-test:1\"\nnetwork = \"none\"\nread_only = true\ntmpfs = [{ path = \"/srv\", size_bytes = 65536 }]")
        .run(&host, &[])
        .ok();
    let log = printed(&host, "tight", "over");
    assert_eq!(log, "workspace\nsrv\nroot\nover\n");
    host.cli(["workload", "rm", "--all"]).ok();
}
