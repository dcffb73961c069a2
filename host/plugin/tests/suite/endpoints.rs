//! A service of the machine, as a plugin reaches it: where and as far as it is granted.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::thread;

use fleet_capability::Workspaces;
use fleet_capability::endpoint::{EndpointOptions, Endpoints};
use fleet_model::driver::RunState;
use fleet_plugin::PluginHost;
use fleet_seam::{SystemClock, SystemEntropy};

use crate::support::guest::LOST;
use crate::support::{Guest, Machine, driver, handle, item, rejection};

const MANIFEST: &str = "[capabilities]\nendpoints = [\"engine\"]";

const POLICY: &str = "schema = 1
[[rules]]
name = \"look\"
method = \"GET\"
path = \"/things\"
effect = \"read\"
response = { keep = [\"/state\"] }
";

/// One whose `inspect` tells what it gets when it asks for this path, or the refusal.
fn asking(path: &str) -> Guest {
    let mut guest = Guest::new("asker");
    let [name, method, path] = ["engine", "GET", path].map(|text| guest.text(text));
    let text = |text: crate::support::guest::Text| {
        format!("i32.const {} i32.const {} ", text.at, text.length)
    };
    // No query, no headers, no body, no attributes.
    let none = "i32.const 0 ".repeat(2 + 2 + 3 + 2);
    let body = format!(
        "{}{}{}{none} i32.const 640 call $endpoint.get
         i32.const 656 i32.load local.set $at
         i32.const 660 i32.load local.set $length {LOST}",
        text(name),
        text(method),
        text(path)
    );
    guest.with("inspect", &body)
}

/// A machine with an engine that says this and notes what it hears.
struct World {
    machine: Machine,
    heard: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new(guest: &Guest) -> Self {
        let mut machine = Machine::new();
        machine.plugin(guest, MANIFEST);
        machine.file("asker.policy.toml", POLICY);
        let socket = machine.folder().join("engine.sock");
        machine.grants = format!(
            "[asker.endpoint.engine]\naddress = \"unix://{}\"\npolicy = \"asker.policy.toml\"",
            socket.display()
        );
        let folder = machine.folder();
        let root = folder.parent().unwrap();
        let workspaces = Workspaces::open(&root.join("workloads")).unwrap();
        let options = EndpointOptions::new(
            &root.join("endpoints"),
            workspaces,
            Arc::new(SystemClock),
            Arc::new(SystemEntropy),
        );
        machine.endpoints = Some(
            Endpoints::open(EndpointOptions {
                redactor: machine.redactor.clone(),
                ..options
            })
            .unwrap(),
        );
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = UnixListener::bind(socket).unwrap();
        let notes = heard.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = [0; 1_024];
                let count = stream.read(&mut head).unwrap();
                let head = String::from_utf8_lossy(&head[..count]).into_owned();
                notes.lock().unwrap().push(head);
                let body = "{\"state\":\"hunter2222\",\"secret\":1}";
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                );
            }
        });
        Self { machine, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn told(host: &PluginHost) -> String {
    let status = driver(host, "asker").inspect(&item(), &handle()).await;
    match status.unwrap().state {
        RunState::Lost { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_granted_endpoint_answers_as_far_as_its_policy_says() {
    let world = World::new(&asking("/things"));
    let host = world.machine.host().await;
    assert_eq!(told(&host).await, "{\"state\":\"hunter2222\"}");
    let heard = world.heard();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].starts_with("GET /things HTTP/1.1\r\nhost: localhost\r\n"));
    // Whatever comes from outside may hold a secret that a program was given.
    world.machine.secret("hunter2222");
    assert_eq!(told(&host).await, "{\"state\":\"***\"}");
    assert_eq!(host.refusals(), Default::default());
}

#[tokio::test]
async fn what_no_rule_allows_does_not_reach_the_engine() {
    let world = World::new(&asking("/things/../secrets"));
    let host = world.machine.host().await;
    let message = told(&host).await;
    assert!(message.contains("no rule of its policy"), "{message}");
    assert!(world.heard().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_is_not_granted_or_not_asked_for_is_refused() {
    let mut world = World::new(&asking("/things"));
    world.machine.grants.clear();
    let host = world.machine.host().await;
    let message = told(&host).await;
    assert!(
        message.contains("[asker.endpoint.engine]\naddress = "),
        "{message}"
    );
    let counted = ("asker".parse().unwrap(), "endpoint engine".to_owned());
    assert_eq!(host.refusals()[&counted], 1);

    let world = World::new(&asking("/things"));
    world.machine.plugin(&asking("/things"), "");
    let message = told(&*world.machine.host().await).await;
    assert!(message.contains("asker.toml"), "{message}");

    let mut world = World::new(&asking("/things"));
    world.machine.ceiling = Some("endpoints = [\"other\"]".to_owned());
    let message = told(&*world.machine.host().await).await;
    assert!(message.contains("ceiling"), "{message}");
    assert!(world.heard().is_empty());
}

#[tokio::test]
async fn a_policy_that_cannot_be_used_rejects_the_plugin_with_its_place() {
    let world = World::new(&asking("/things"));
    world
        .machine
        .file("asker.policy.toml", format!("{POLICY}color = 1\n"));
    let host = world.machine.host().await;
    let reason = rejection(&host, "asker.wasm");
    assert!(
        reason.contains("asker.policy.toml:8: unknown field `color`"),
        "{reason}"
    );
    std::fs::remove_file(world.machine.folder().join("asker.policy.toml")).unwrap();
    let host = world.machine.host().await;
    let reason = rejection(&host, "asker.wasm");
    assert!(reason.contains("cannot read the policy"), "{reason}");
}
