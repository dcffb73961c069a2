//! What survives the host: programs, their output, their exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::path::Path;

use fleet_e2e::{Host, find_processes, http_get, is_alive, wait_for};

#[test]
fn a_web_server_outlives_the_host_and_is_found_again() {
    let mut host = Host::start();
    let page = "import http.server,sys;print('up',flush=True);http.server.test(http.server.SimpleHTTPRequestHandler,port=int(sys.argv[1]),bind='127.0.0.1')";
    let args = [
        "workload",
        "run",
        "--name",
        "web",
        "--port",
        "http",
        "--wait",
        "--",
        "python3",
        "-u",
        "-c",
        page,
        "$(PORT_HTTP)",
    ];
    let said = host.cli(args).ok();
    assert_eq!(
        said.stderr, "",
        "a command that succeeds complains about nothing"
    );

    let before = host.show("web");
    let pid = u32::try_from(
        before["attributes"]["pid"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap(),
    )
    .unwrap();
    let port = before["ports"]["http"].as_u64().unwrap();
    let address = format!("127.0.0.1:{port}");
    let answers = |path: &str| wait_for("the page", 20, || http_get(&address, path, None)).0;
    assert_eq!(answers("/?before"), 200);

    host.kill();
    assert_eq!(answers("/?while-down"), 200);
    assert!(is_alive(pid));

    host.start_again();
    let after = host.wait_state("web", "running");
    assert_eq!(after["attributes"]["pid"], before["attributes"]["pid"]);
    assert_eq!(after["ports"], before["ports"]);
    assert_eq!(after["generation"], before["generation"]);
    assert_eq!(answers("/?after"), 200);

    // The log has every request once, in order, whatever happened to the host.
    wait_for("the log of the last request", 10, || {
        host.cli(["workload", "logs", "web"])
            .ok()
            .stderr
            .contains("?after")
            .then_some(())
    });
    let logs = host.cli(["workload", "logs", "web"]).ok();
    assert_eq!(
        logs.stdout,
        "up\nServing HTTP on 127.0.0.1 port ".to_owned()
            + &format!("{port} (http://127.0.0.1:{port}/) ...\n")
    );
    let requests: Vec<_> = logs
        .stderr
        .lines()
        .filter_map(|line| line.split("/?").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(requests, ["before", "while-down", "after"]);

    let folder = host
        .data()
        .join("workloads")
        .join(before["id"].as_str().unwrap());
    assert!(folder.join("workspace").is_dir());
    host.cli(["workload", "rm", "web"]).ok();
    assert!(!is_alive(pid));
    assert!(!folder.exists());
    assert_eq!(
        find_processes(before["id"].as_str().unwrap()),
        Vec::<u32>::new()
    );
    assert_eq!(
        cgroups_of(before["id"].as_str().unwrap()),
        Vec::<String>::new()
    );
    assert_eq!(host.cli(["workload", "show", "web"]).code, 3);
}

/// Every cgroup folder of this machine whose path names the workload.
fn cgroups_of(workload: &str) -> Vec<String> {
    fn walk(folder: &Path, workload: &str, depth: usize, found: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        for entry in entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        {
            if entry.file_name().to_string_lossy().contains(workload) {
                found.push(entry.path().display().to_string());
            } else if depth > 0 {
                walk(&entry.path(), workload, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), workload, 6, &mut found);
    found
}

#[test]
fn one_that_ended_while_the_host_was_down_has_its_true_code_and_is_not_started_again() {
    let mut host = Host::start();
    let out = tempfile::tempdir().unwrap();
    let (go, ran) = (out.path().join("go"), out.path().join("ran"));
    let script = format!(
        "echo ran >> {}; while [ ! -e {} ]; do sleep 0.05; done; exit 7",
        ran.display(),
        go.display()
    );
    host.cli([
        "workload", "run", "--name", "short", "--wait", "--", "sh", "-c", &script,
    ])
    .ok();
    let id = host.show("short")["id"].as_str().unwrap().to_owned();
    host.kill();
    std::fs::write(&go, "").unwrap();
    wait_for("its end", 20, || {
        find_processes(&id).is_empty().then_some(())
    });

    host.start_again();
    let shown = host.wait_state("short", "exited");
    assert_eq!(shown["exit_code"], 7);
    // Another restart, for good measure.
    host.kill();
    host.start_again();
    assert_eq!(host.wait_state("short", "exited")["exit_code"], 7);
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "ran\n");
}

#[test]
fn ctrl_c_leaves_workloads_running_and_says_so() {
    let mut host = Host::start();
    host.cli([
        "workload", "run", "--name", "sleeper", "--wait", "--", "sleep", "1000",
    ])
    .ok();
    let pid = host.show("sleeper")["attributes"]["pid"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(host.interrupt().success());
    assert!(is_alive(pid));
    let screen = host.screen();
    assert!(screen.contains("1 workload"), "{screen}");
    assert!(screen.contains("workload rm --all"), "{screen}");
    host.start_again();
    assert_eq!(
        host.wait_state("sleeper", "running")["attributes"]["pid"],
        pid.to_string()
    );
    host.cli(["workload", "rm", "--all"]).ok();
    assert!(!is_alive(pid));
}
