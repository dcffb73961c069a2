//! Many workloads, and a host that is killed in the middle.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fleet_e2e::{Host, find_processes, wait_for};
use serde_json::{Value, json};

#[test]
fn two_hundred_short_ones_run_exactly_once_though_the_host_is_killed_three_times() {
    crowd(200, 3);
}

#[test]
#[ignore = "the full size, for `cargo xtask soak`"]
fn a_thousand_short_ones_run_exactly_once_though_the_host_is_killed_ten_times() {
    crowd(1_000, 10);
}

fn crowd(workloads: usize, kills: u64) {
    let mut host = Host::start();
    let out = tempfile::tempdir().unwrap();
    let (token, data) = (host.token(), host.data());
    let url = std::sync::Mutex::new(host.url().to_owned());
    let done = AtomicBool::new(false);
    let killed = std::sync::atomic::AtomicUsize::new(0);

    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (url, token, out) = (&url, &token, out.path());
            scope.spawn(move || {
                for n in (0..workloads).filter(|n| n % 8 == worker) {
                    let line = format!("echo ran >> {}/{n}; exit {}", out.display(), n % 3);
                    let body = json!({"name": format!("w{n}"), "command": ["sh", "-c", line]});
                    // The same request until it is acknowledged, whatever happens in between.
                    wait_for("an acknowledgement", 120, || {
                        let address = url
                            .lock()
                            .unwrap()
                            .strip_prefix("http://")
                            .unwrap()
                            .to_owned();
                        let status = post(
                            &address,
                            "/api/v1/workloads",
                            token,
                            &format!("crowd-{n}"),
                            &body,
                        )?;
                        assert!(matches!(status, 201 | 503), "{status}");
                        (status == 201).then_some(())
                    });
                }
            });
        }
        let (done, url, killed) = (&done, &url, &killed);
        let host = &mut host;
        scope.spawn(move || {
            // Moments that differ from run to run: the process number is as good a seed as any.
            let seed = u64::from(std::process::id());
            for pause in (0..kills).map(|n| 120 + (seed * 31 + n * 7_919) % 331) {
                std::thread::sleep(Duration::from_millis(pause));
                host.kill();
                killed.fetch_add(1, Ordering::SeqCst);
                host.start_again();
                *url.lock().unwrap() = host.url().to_owned();
            }
            done.store(true, Ordering::SeqCst);
        });
    });
    assert!(done.load(Ordering::SeqCst));
    assert_eq!(
        killed.load(Ordering::SeqCst),
        usize::try_from(kills).unwrap(),
        "every kill was meant to hit"
    );

    let all = wait_for("all to end", 300, || {
        let listed = host.cli(["workload", "ls", "--output", "json"]).ok().json();
        let items = listed["items"].as_array().unwrap().clone();
        items
            .iter()
            .all(|item| item["state"] == "exited")
            .then_some(items)
    });
    assert_eq!(all.len(), workloads);
    for n in 0..workloads {
        let item: &Value = all
            .iter()
            .find(|item| item["name"] == format!("w{n}"))
            .unwrap();
        assert_eq!(item["exit_code"], n % 3, "{item}");
        assert_eq!(
            std::fs::read_to_string(out.path().join(n.to_string())).unwrap(),
            "ran\n",
            "w{n} ran exactly once"
        );
    }
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), workloads);

    host.cli(["workload", "rm", "--all"]).ok();
    let left: Vec<_> = std::fs::read_dir(data.join("workloads"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with("wl_"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let workloads = data.join("workloads").display().to_string();
    assert_eq!(
        find_processes(&workloads),
        Vec::<u32>::new(),
        "no shim and no program is left"
    );
}

/// One POST on a connection of its own; `None` when the host went away.
fn post(address: &str, path: &str, token: &str, key: &str, body: &Value) -> Option<u16> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    let body = body.to_string();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn one_key_sent_fifty_times_at_once_makes_one_workload() {
    let host = Host::start();
    let (address, token) = (
        host.url().strip_prefix("http://").unwrap().to_owned(),
        host.token(),
    );
    let body = json!({"name": "once", "command": ["true"]});
    std::thread::scope(|scope| {
        let sent: Vec<_> = (0..50)
            .map(|_| scope.spawn(|| post(&address, "/api/v1/workloads", &token, "k", &body)))
            .collect();
        for answer in sent {
            assert_eq!(answer.join().unwrap(), Some(201));
        }
    });
    let listed = host.cli(["workload", "ls", "--output", "json"]).ok().json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let other = json!({"name": "other", "command": ["true"]});
    assert_eq!(
        post(&address, "/api/v1/workloads", &token, "k", &other),
        Some(409)
    );
    assert_eq!(host.cli(["workload", "show", "other"]).code, 3);
}
