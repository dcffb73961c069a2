//! What a container is held to, and how it is told when that ends it.

use fleet_test_engine::Engine;

use crate::support::{Spec, attribute, container, host, long};

/// Takes more memory than it may have.
const EATS: &str = "dd if=/dev/zero of=/dev/shm/x bs=1M count=48";

#[test]
fn an_end_for_want_of_memory_is_told_apart_from_a_kill() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    let limits = "limits = { memory = \"16MiB\", processes = 32, cpu = 0.5 }";
    Spec::new("eats", &["sh", "-c", &format!("exec {EATS}")])
        .more(limits)
        .run(&host, &[])
        .ok();
    let eaten = host.wait_state("eats", "exited");
    assert_eq!(eaten["exit_code"], 137, "{eaten:#}");
    assert_eq!(attribute(&eaten, "oom"), Some("true"));

    long("held").more(limits).run(&host, &["--wait"]).ok();
    let shown = host.show("held");
    let id = container(engine, &shown);
    let (_, seen) = engine.ask("GET", &format!("/containers/{id}/json"), None);
    let held = &seen["HostConfig"];
    assert_eq!(held["Memory"], 16 << 20);
    assert_eq!(held["MemorySwap"], 16 << 20);
    assert_eq!(held["NanoCpus"], 500_000_000);
    assert_eq!(held["PidsLimit"], 32);
    let (status, _) = engine.ask("POST", &format!("/containers/{id}/kill?signal=KILL"), None);
    assert_eq!(status, 204);
    let killed = host.wait_state("held", "exited");
    assert_eq!(killed["exit_code"], 137);
    assert_eq!(attribute(&killed, "oom"), None);
    host.cli(["workload", "rm", "--all"]).ok();
}

/// What is started can also be looked at: an engine tells a command twice, and in its list once more.
#[test]
fn a_workload_with_a_very_long_command_lives_its_whole_life() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let mut host = host(engine);
    let words = vec!["x".repeat(100_000); 9];
    let mut command = vec!["sh", "-c", "exec sleep 86400"];
    command.extend(words.iter().map(String::as_str));
    for name in ["one", "two"] {
        Spec::new(name, &command).run(&host, &["--wait"]).ok();
    }
    host.kill();
    host.start_again();
    for name in ["one", "two"] {
        let shown = host.wait_state(name, "running");
        assert_eq!(shown["attempt"], 1, "{shown:#}");
        container(engine, &shown);
    }
    host.cli(["workload", "stop", "one"]).ok();
    assert_eq!(host.wait_state("one", "exited")["attempt"], 1);
    let complaints = host.complaints();
    assert!(!complaints.contains("cannot list"), "{complaints}");
    host.cli(["workload", "rm", "--all"]).ok();
}
