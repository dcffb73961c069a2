//! A workload's ports, forwarded and by the preview path.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use fleet_e2e::{Host, wait_for};
use serde_json::Value;

/// A forward that runs, and where it listens.
struct Forward {
    child: Child,
    local: String,
}

impl Forward {
    fn start(host: &Host, name: &str, mapping: &str) -> Self {
        let mut child = host
            .command()
            .args(["workload", "port-forward", name, mapping])
            .args(["--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["workload"], name);
        let local = ready["local"].as_str().unwrap().to_owned();
        Self { child, local }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.local).unwrap();
        let limit = Some(Duration::from_secs(60));
        stream.set_read_timeout(limit).unwrap();
        stream
    }

    /// Ctrl-C; what it complained about.
    fn end(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let ended = wait_for("its end", 20, || self.child.try_wait().unwrap());
        assert_eq!(ended.code(), Some(0));
        let mut said = String::new();
        let mut err = self.child.stderr.take().unwrap();
        err.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(host: &Host, name: &str, command: &[&str]) {
    let begin = [
        "workload", "run", "--name", name, "--port", "http", "--wait", "--",
    ];
    host.cli(begin.iter().chain(command)).ok();
}

fn workspace(host: &Host, name: &str) -> PathBuf {
    let id = host.show(name)["id"].as_str().unwrap().to_owned();
    host.data().join("workloads").join(id).join("workspace")
}

/// One GET, its status and body; `None` when nobody answers.
fn get(mut stream: TcpStream, path: &str, token: Option<&str>) -> Option<(u16, Vec<u8>)> {
    let token = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{token}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..head_end]).into_owned();
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, answer.split_off(head_end + 4)))
}

fn api(host: &Host, path: &str) -> (u16, Vec<u8>) {
    let address = host.url().strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    get(stream, path, Some(&host.token())).unwrap()
}

/// Bytes that do not repeat within any buffer.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next)
        .take(count.div_ceil(8))
        .flatten()
        .collect();
    bytes.truncate(count);
    bytes
}

/// Python's usual server of files. Its own queue takes five connections, and who comes then waits for seconds.
const FILES: &str = r#"
import os, http.server
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.test(http.server.SimpleHTTPRequestHandler, http.server.ThreadingHTTPServer,
                 port=int(os.environ["PORT_HTTP"]), bind="127.0.0.1")
"#;

#[test]
fn a_file_of_32_mib_comes_whole_through_the_forward_and_the_preview() {
    let host = Host::start();
    run(&host, "web", &["python3", "-c", FILES]);
    let noise = noise(32 << 20);
    std::fs::write(workspace(&host, "web").join("noise"), &noise).unwrap();
    let path = "/api/v1/workloads/web/preview/http/noise";
    let body = wait_for("its server", 20, || {
        let (status, body) = api(&host, path);
        (status == 200).then_some(body)
    });
    assert!(body == noise, "{} bytes", body.len());

    let forward = Forward::start(&host, "web", ":http");
    let (status, body) = get(forward.connect(), "/noise", None).unwrap();
    assert_eq!(status, 200);
    assert!(body == noise, "{} bytes", body.len());
    let (status, listing) = api(&host, "/api/v1/workloads/web/preview/http/");
    assert_eq!(status, 200);
    assert!(String::from_utf8_lossy(&listing).contains("noise"));
    assert_eq!(api(&host, "/api/v1/workloads/web/preview/http/none").0, 404);
    let address = host.url().strip_prefix("http://").unwrap();
    let stranger = TcpStream::connect(address).unwrap();
    assert_eq!(get(stranger, path, Some("wrong")).unwrap().0, 401);

    // A hundred at once, each to its own end.
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| assert_eq!(get(forward.connect(), "/", None).unwrap().0, 200));
        }
    });
    assert_eq!(forward.end(), "");
    host.cli(["workload", "rm", "--all"]).ok();
}

/// Reads to the end, then answers with all of it backwards.
const BACKWARDS: &str = r#"
import os, socketserver
class Backwards(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.read()[::-1])
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64
Server(("127.0.0.1", int(os.environ["PORT_HTTP"])), Backwards).serve_forever()
"#;

fn backwards(mut stream: TcpStream, bytes: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(bytes).ok()?;
    stream.shutdown(Shutdown::Write).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    answer.reverse();
    Some(answer)
}

#[test]
fn each_direction_ends_by_itself_and_the_forward_outlives_the_host() {
    let mut host = Host::start_fixed();
    run(&host, "back", &["python3", "-c", BACKWARDS]);
    let port = host.show("back")["ports"]["http"].as_u64().unwrap();
    let forward = Forward::start(&host, "back", &format!("0:{port}"));
    wait_for("its server", 20, || {
        backwards(forward.connect(), b"hello").filter(|answer| answer == b"hello")
    });
    let bytes = noise(1 << 20);
    assert!(backwards(forward.connect(), &bytes).unwrap() == bytes);

    let mut open = forward.connect();
    open.write_all(b"half").unwrap();
    // It has arrived before the host goes.
    assert!(backwards(forward.connect(), b"x").is_some());
    host.kill();
    // What was open breaks off, and does not look like an end.
    let broken = open.read(&mut [0; 16]);
    assert!(broken.is_err(), "{broken:?}");
    // What comes now waits for the host.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| backwards(forward.connect(), b"patient"));
        host.start_again();
        assert_eq!(waiting.join().unwrap().unwrap(), b"patient");
    });
    let said = forward.end();
    assert!(
        said.contains("a connection to the port") && said.contains("failed"),
        "{said}"
    );
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn ports_that_cannot_be_reached_say_why() {
    let host = Host::start();
    run(&host, "deaf", &["sleep", "1000"]);
    let undeclared = host.cli(["workload", "port-forward", "deaf", ":ssh"]);
    assert_eq!(undeclared.code, 3, "{undeclared:?}");
    assert!(
        undeclared.stderr.contains("it has http") && undeclared.stderr.contains("--port"),
        "{undeclared:?}"
    );
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("{}:http", held.local_addr().unwrap().port());
    let in_use = host.cli(["workload", "port-forward", "deaf", &taken]);
    assert_eq!(in_use.code, 4, "{in_use:?}");
    assert!(in_use.stderr.contains("`:http`"), "{in_use:?}");

    let forward = Forward::start(&host, "deaf", ":http");
    assert!(backwards(forward.connect(), b"x").is_none_or(|answer| answer.is_empty()));
    let said = forward.end();
    assert!(said.contains("nobody listens on the port http"), "{said}");

    let problem = |path: &str| {
        let (status, body) = api(&host, path);
        let problem: Value = serde_json::from_slice(&body).unwrap();
        (status, problem["code"].as_str().unwrap().to_owned())
    };
    let preview = |port: &str| problem(&format!("/api/v1/workloads/deaf/preview/{port}/"));
    assert_eq!(preview("http"), (502, "nobody-listens".to_owned()));
    assert_eq!(preview("22"), (404, "no-such-port".to_owned()));
    let connect = problem("/api/v1/workloads/deaf/ports/http/connect");
    assert_eq!(connect, (400, "no-websocket".to_owned()));
    host.cli(["workload", "stop", "deaf", "--grace", "1s"]).ok();
    assert_eq!(preview("http"), (409, "not-running".to_owned()));
    host.cli(["workload", "rm", "--all"]).ok();
}
