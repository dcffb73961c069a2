//! A machine without an engine, or with one that is none: the host says so and does the rest.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use fleet_e2e::{Host, wait_for};
use serde_json::Value;

use crate::support::{Spec, host_at};

fn plugin(host: &Host) -> Value {
    let listed = host.cli(["plugin", "ls", "--output", "json"]).ok().json();
    let plugins = listed["items"].as_array().or(listed.as_array()).unwrap();
    let docker = plugins.iter().find(|plugin| plugin["name"] == "docker");
    docker.unwrap_or_else(|| panic!("{listed:#}")).clone()
}

/// Whether the host says that its engine cannot be used for this reason, in the list and where a workload
/// asks for it.
fn says(host: &Host, words: &str) {
    let docker = plugin(host);
    assert_eq!(docker["usable"], false, "{docker:#}");
    assert!(
        docker["reason"].as_str().unwrap().contains(words),
        "{docker:#}"
    );
    let dry = Spec::new("dry", &["true"]).run(host, &["--dry-run", "--output", "json"]);
    assert_eq!(dry.code, 4, "{dry:?}");
    assert!(dry.stdout.contains(words), "{dry:?}");
}

#[test]
fn without_an_engine_the_reason_is_told_and_native_works() {
    let host = host_at("unix:///nowhere/docker.sock");
    says(
        &host,
        "the engine cannot be reached: there is no such socket",
    );
    host.cli("workload run --name plain --wait -- true".split(' '))
        .ok();
    assert!(
        host.screen().contains("docker 0.1.0 not usable"),
        "{}",
        host.screen()
    );
}

/// Answers every request with this, over a socket in the folder.
fn server(folder: &std::path::Path, answer: &'static str) -> String {
    let socket = folder.join("fake.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 65_536]);
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    format!("unix://{}", socket.display())
}

#[test]
fn an_engine_that_is_too_old_or_none_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let old = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 91\r\n\r\n{\"Version\":\"19.03.15\",\"ApiVersion\":\"1.40\",\"MinAPIVersion\":\"1.12\",\"Os\":\"linux\",\"pad\":\"xxxx\"}";
    let host = host_at(&server(folder.path(), old));
    says(&host, "too old");
    drop(host);

    for (name, answer) in [
        (
            "html",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\n<html>",
        ),
        ("other", "220 mail.example.com ESMTP\r\n"),
        ("empty", ""),
    ] {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let host = host_at(&server(&folder, answer));
        let docker = plugin(&host);
        assert_eq!(docker["usable"], false, "{name}: {docker:#}");
        host.cli("workload run --name plain --wait -- true".split(' '))
            .ok();
    }
}

#[test]
fn an_engine_that_comes_later_is_found() {
    let Some(engine) = fleet_test_engine::Engine::shared() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("late.sock");
    let host = host_at(&format!("unix://{}", socket.display()));
    says(
        &host,
        "the engine cannot be reached: there is no such socket",
    );
    std::os::unix::fs::symlink(engine.socket(), &socket).unwrap();
    wait_for("it to be found", 90, || {
        (plugin(&host)["usable"] == true).then_some(())
    });
    Spec::new("now", &["true"]).run(&host, &["--wait"]).ok();
    host.cli(["workload", "rm", "--all"]).ok();
}
