use fleet_sdk::driver::{Limits, Port};
use fleet_sdk::exec;
use serde_json::{Value, json};

use super::*;

fn workload(config: &Value) -> (Workload, Config) {
    let workload = Workload {
        id: "wl_1".to_owned(),
        name: "web".to_owned(),
        node: "nd_1".to_owned(),
        command: Vec::new(),
        env: Vec::new(),
        ports: Vec::new(),
        labels: Vec::new(),
        config: config.to_string(),
        limits: Limits {
            cpu_millis: Some(500),
            memory_bytes: Some(1 << 26),
            processes: Some(64),
            attributes: Vec::new(),
        },
        attributes: Vec::new(),
    };
    let config = workload.config().unwrap();
    (workload, config)
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn body((workload, config): (Workload, Config)) -> Value {
    serde_json::from_str(&create(workload, config).unwrap()).unwrap()
}

#[test]
fn a_workload_that_says_little_makes_a_short_body() {
    assert_eq!(
        body(workload(&json!({"image": "busybox:1"}))),
        json!({
            "Image": "busybox:1",
            "HostConfig": {
                "NetworkMode": "bridge",
                "Init": true,
                "Mounts": [{"Type": "bind", "Target": "/workspace"}],
            },
        })
    );
    let nothing = json!({"image": "a", "workspace": "", "network": "none", "init": false});
    assert_eq!(
        body(workload(&nothing)),
        json!({"Image": "a", "HostConfig": {"NetworkMode": "none", "Init": false}})
    );
}

#[test]
fn each_key_has_its_place() {
    let config = json!({
        "image": "busybox:1", "entrypoint": ["/bin/sh", "-c"], "user": "1000", "workdir": "/srv", "workspace": "/data",
        "read_only": true, "tmpfs": [{"path": "/tmp", "size_bytes": 65536}], "shm_bytes": 65536,
        "stop_signal": "INT", "terminal": true,
    });
    let (mut workload, config) = workload(&config);
    workload.command = vec!["echo a b".to_owned()];
    workload.env = vec![pair("A", "b=c"), pair("EMPTY", "")];
    workload.labels = vec![pair("tier", "front")];
    assert_eq!(
        body((workload, config)),
        json!({
            "Image": "busybox:1",
            "Cmd": ["echo a b"],
            "Entrypoint": ["/bin/sh", "-c"],
            "Env": ["A=b=c", "EMPTY="],
            "User": "1000",
            "WorkingDir": "/srv",
            "Tty": true,
            "StopSignal": "INT",
            "Labels": {"tier": "front"},
            "HostConfig": {
                "NetworkMode": "bridge",
                "ReadonlyRootfs": true,
                "Tmpfs": {"/tmp": "size=65536"},
                "Init": true,
                "ShmSize": 65536,
                "Mounts": [{"Type": "bind", "Target": "/data"}],
            },
        })
    );
}

#[test]
fn what_cannot_be_so_is_refused_with_the_remedy() {
    let (mut ports, config) = workload(&json!({"image": "a", "network": "none"}));
    ports.ports = vec![Port {
        name: "http".to_owned(),
        inside: 80,
        host: 20_000,
    }];
    let error = create(ports, config).unwrap_err();
    assert_eq!(error.code, "ports-without-network");

    let (mut labelled, config) = workload(&json!({"image": "a"}));
    labelled.labels = vec![pair("fleet.workload", "wl_2")];
    let error = create(labelled, config).unwrap_err();
    assert_eq!(error.code, "label-reserved");
}

#[test]
fn a_program_beside_it_has_terminal_and_input_as_asked() {
    let request = |terminal, attributes| exec::Request {
        command: vec!["sh".to_owned()],
        env: vec![pair("A", "1")],
        terminal,
        attributes,
    };
    let size = exec::Size {
        columns: 80,
        rows: 24,
    };
    for (request, want) in [
        (
            request(None, Vec::new()),
            json!({
                "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": false, "Cmd": ["sh"], "Env": ["A=1"],
            }),
        ),
        (
            request(Some(size), vec![pair("stdin", "null")]),
            json!({
                "AttachStdin": false, "AttachStdout": true, "AttachStderr": true, "Tty": true, "Cmd": ["sh"], "Env": ["A=1"],
            }),
        ),
    ] {
        let body: Value = serde_json::from_str(&exec(request).unwrap()).unwrap();
        assert_eq!(body, want);
    }
}
