use std::sync::Arc;
use std::time::Duration;

use fleet_model::ErrorKind;
use fleet_seam::{Clock, SystemClock};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::{Answer, Server, workload};
use crate::{Client, ClientError, ClientOptions, Command};

/// A clock that rings at each pause: a try has failed.
struct Ringing(Arc<Notify>);

#[async_trait::async_trait]
impl Clock for Ringing {
    fn unix_ms(&self) -> u64 {
        SystemClock.unix_ms()
    }

    fn boot_ms(&self) -> u64 {
        SystemClock.boot_ms()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.notify_one();
        SystemClock.sleep(duration).await;
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

fn go() -> Command {
    Command::from(b"go\n".to_vec())
}

fn away(status: u16, code: &str) -> Answer {
    let problem = json!({"status": status, "kind": "unavailable", "code": code, "detail": "away"});
    Answer::Json(status, problem)
}

#[tokio::test]
async fn a_command_is_sent_again_under_its_key_until_it_is_delivered() {
    let server = Server::scripted([
        away(503, "node-away"),
        Answer::Lost,
        Answer::Json(502, json!("a proxy's words")),
        away(503, "not-started"),
        Answer::Json(200, json!({"key": "turn-7"})),
    ])
    .await;
    let client = server.client().insisting(PATIENCE);
    let sent = client
        .send("web", &go(), &"turn-7".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(sent.key, "turn-7");
    let asked = server.asked();
    assert_eq!(asked.len(), 5);
    for one in asked {
        assert_eq!(one.line, "POST /api/v1/workloads/web/commands");
        assert_eq!(one.key.as_deref(), Some("turn-7"));
        assert_eq!(one.body, r#"{"text":"go\n"}"#);
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_yet_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let rang = Arc::new(Notify::new());
    let mut options = ClientOptions::new(format!("http://{address}"));
    options.clock = Arc::new(Ringing(rang.clone()));
    let client = Client::new(options).unwrap().insisting(PATIENCE);
    let key = client.new_key();
    let mut sent = tokio::spawn(async move { client.send("web", &go(), &key).await });
    // One try was refused: now the host comes up.
    tokio::select! {
        () = rang.notified() => {}
        early = &mut sent => panic!("given up: {early:?}"),
    }
    let listener = TcpListener::bind(address).await.unwrap();
    let server = Server::at(listener, |asked, _| {
        Answer::Json(200, json!({"key": asked.key.clone().unwrap()}))
    });
    sent.await.unwrap().unwrap();
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn insistence_ends_and_says_what_was_the_matter() {
    let server = Server::start(|_, _| away(503, "node-away")).await;
    let client = server.client().insisting(Duration::ZERO);
    let error = client
        .send("web", &go(), &client.new_key())
        .await
        .unwrap_err();
    assert!(error.is_away());
    assert!(
        matches!(&error, ClientError::Api { error, .. } if error.code == "node-away"),
        "{error:?}"
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn who_is_asked_to_come_back_later_than_it_waits_does_not_wait() {
    let paused = |ms: u64| json!({"status": 503, "kind": "unavailable", "code": "restarting", "detail": "later", "retry_after_ms": ms});
    let server = Server::scripted([
        Answer::Json(503, paused(1)),
        Answer::Json(503, paused(3_600_000)),
    ])
    .await;
    let client = server.client().insisting(PATIENCE);
    let error = client
        .send("web", &go(), &client.new_key())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ClientError::Api { error, .. } if error.retry_after_ms == Some(3_600_000)),
        "{error:?}"
    );
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn what_will_not_pass_by_waiting_is_told_at_once() {
    for (status, kind, code) in [
        (409, ErrorKind::Conflict, "not-running"),
        (429, ErrorKind::Exhausted, "input-full"),
        (404, ErrorKind::NotFound, "no-workload"),
    ] {
        let problem = json!({"status": status, "code": code, "detail": "no"});
        let server = Server::scripted([Answer::Json(status, problem)]).await;
        let client = server.client().insisting(PATIENCE);
        let error = client
            .send("web", &go(), &client.new_key())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
        assert_eq!(server.asked().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_trial_changes_nothing_and_has_no_key() {
    let spec = serde_json::from_value(json!({"name": "web", "command": ["true"]})).unwrap();
    let answer = json!({
        "admitted": false, "node": null, "warnings": [{"code": "limits-unknown", "detail": "it may not"}], "spec": {"name": "web", "command": ["true"]},
        "reasons": [{"code": "name-taken", "detail": "taken", "details": {"pointer": "/name"}}],
        "placement": [{"node": "local", "chosen": false, "reason": "has no such backend"}],
    });
    let server = Server::scripted([Answer::Json(200, answer)]).await;
    let trial = server.client().try_out(&spec).await.unwrap();
    assert!(!trial.admitted);
    assert_eq!(trial.reasons[0].details["pointer"], "/name");
    assert_eq!(
        trial.placement[0].reason.as_deref(),
        Some("has no such backend")
    );
    let asked = server.asked();
    assert_eq!(asked[0].line, "POST /api/v1/workloads?dry_run=true");
    assert_eq!(asked[0].key, None);
}

#[tokio::test]
async fn an_extension_says_its_unit() {
    let server = Server::scripted([Answer::Json(200, workload("running", 1, Some(1)))]).await;
    let ttl = "90m".parse().unwrap();
    server.client().extend("web", ttl).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].line, "POST /api/v1/workloads/web/extend");
    assert_eq!(asked[0].body, r#"{"ttl":"1h 30m"}"#);
    assert!(asked[0].key.is_some());
}
