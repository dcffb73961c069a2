//! A controller on a bench: simulated clock and disk, requests through its router.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use fleet_model::StoreId;
use fleet_model::event::Event;
use fleet_model::plugin::{Plugin, PluginKind, PluginState};
use fleet_protocol::transport::{MemoryDialer, memory};
use fleet_seam::{SeededEntropy, SimClock};
use fleet_store::sim::SimDisk;
use fleet_store::{Durable, Options, Store};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::scripted::{Scripted, hello};
use crate::{Controller, ControllerOptions, ControllerState, SealingKey};

pub(crate) const TOKEN: &str = "the-admin-token";
pub(crate) const NOW_MS: u64 = 1_700_000_000_000;

pub(crate) struct Bench {
    pub(crate) disk: SimDisk,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) store: Store<ControllerState>,
    pub(crate) controller: Controller,
    pub(crate) dialer: MemoryDialer,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Asserts that it is a problem of this status and code.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(
            (self.status.as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{problem:#}"
        );
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:fleet-host:problem:{code}"));
        for field in ["title", "detail", "kind"] {
            assert!(problem[field].is_string(), "{field}: {problem:#}");
        }
        problem
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let store_id = StoreId::new(NOW_MS, 1).to_string();
        Self::on(SimDisk::new::<ControllerState>(&store_id, 7).unwrap()).await
    }

    /// A host that has just started on this disk.
    pub(crate) async fn on(disk: SimDisk) -> Self {
        Self::with(disk, Arc::new(SimClock::new(NOW_MS)), options()).await
    }

    /// A host that has just started on this disk, at this time, in this way.
    pub(crate) async fn with(
        disk: SimDisk,
        clock: Arc<SimClock>,
        options: ControllerOptions,
    ) -> Self {
        let durable = disk.mount();
        Self::over(durable, disk, clock, options).await
    }

    /// A host on any medium; `disk` plays no part then.
    pub(crate) async fn over(
        durable: Arc<dyn Durable>,
        disk: SimDisk,
        clock: Arc<SimClock>,
        options: ControllerOptions,
    ) -> Self {
        let store = Store::open(durable, Options::default()).await.unwrap();
        let entropy = Arc::new(SeededEntropy::new(11));
        let controller = Controller::open(store.clone(), options, clock.clone(), entropy)
            .await
            .unwrap();
        let (dialer, listener) = memory();
        let stop = CancellationToken::new();
        let serving = tokio::spawn({
            let (controller, stop) = (controller.clone(), stop.clone());
            async move { controller.serve_nodes(listener, stop).await }
        });
        Self {
            disk,
            clock,
            store,
            controller,
            dialer,
            stop,
            serving,
        }
    }

    pub(crate) fn router(&self) -> Router {
        self.controller.router(Arc::new(Vec::new))
    }

    /// Sends a request as the admin, with a body if it is not null.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask_with(method, path, body, &[]).await
    }

    pub(crate) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {TOKEN}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
        };
        answer(self.router(), request.body(body).unwrap()).await
    }

    /// Sends a request as the admin, with these bytes as its body.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {TOKEN}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(self.router(), request.body(body.into()).unwrap()).await
    }

    /// Sets a secret.
    pub(crate) async fn secret(&self, name: &str, value: &str) -> Value {
        let path = format!("/api/v1/secrets/{name}");
        let answer = self.send("PUT", &path, &[], value.to_owned()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Value::Null).await
    }

    /// Accepts a workload of the scripted node's backend and answers it.
    pub(crate) async fn create(&self, name: &str) -> Value {
        let answer = self
            .ask(
                "POST",
                "/api/v1/workloads",
                json!({"name": name, "backend": "mock"}),
            )
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    /// Waits until a workload looks like this.
    pub(crate) async fn until(&self, name: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
        let mut commits = self.store.changes();
        within(async {
            loop {
                commits.borrow_and_update();
                let workload = self.get(&format!("/api/v1/workloads/{name}")).await.json();
                if is_so(&workload) {
                    return workload;
                }
                // What is kept in memory only, a session that ended, is written down right after.
                commits.changed().await.unwrap();
            }
        })
        .await
    }

    /// Waits until an event of this type has happened, and answers all of this type.
    pub(crate) async fn events(&self, kind: &str, count: usize) -> Vec<Event> {
        let mut commits = self.store.changes();
        within(async {
            loop {
                commits.borrow_and_update();
                let entries = self.store.read_log::<Event>(0, usize::MAX).await.unwrap();
                let events: Vec<_> = entries
                    .into_iter()
                    .map(|(_, _, event)| event)
                    .filter(|event| event.kind == kind)
                    .collect();
                if events.len() >= count {
                    return events;
                }
                commits.changed().await.unwrap();
            }
        })
        .await
    }

    /// A node that has dialled, said hello and confirmed, and was told everything.
    pub(crate) async fn node(&self) -> Scripted {
        let mut node = Scripted::dial(self, hello()).await;
        node.join().await;
        node
    }
}

/// How the host on the bench is started.
pub(crate) fn options() -> ControllerOptions {
    ControllerOptions {
        sealing_key: Ok(key(1)),
        boot: "boot".to_owned(),
        ..ControllerOptions::new(TOKEN, "0.1.0-test")
    }
}

/// A sealing key.
pub(crate) fn key(seed: u64) -> SealingKey {
    SealingKey::generate(&SeededEntropy::new(seed))
}

pub(crate) async fn answer(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

/// What a test waits for happens soon or never.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("it did not happen within 20 s")
}

/// Waits until something is so that nobody tells of.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    within(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(crate) fn plugin(name: &str, state: PluginState) -> Plugin {
    Plugin {
        kind: Some(PluginKind::Backend),
        version: Some("1.0.0".to_owned()),
        digest: Some("aa".to_owned()),
        state,
        usable: true,
        config_schema: Some(json!({
            "type": "object",
            "properties": {"delay_ms": {"type": "integer", "minimum": 0}},
            "additionalProperties": false
        })),
        ..Plugin::found(name, &format!("{name}.wasm"), "")
    }
}
