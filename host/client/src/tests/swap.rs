use bytes::Bytes;
use fleet_model::plugin::PluginState;
use fleet_model::swap::{Adoption, SwapRun, SwapWay};
use serde_json::{Value, json};

use super::{Answer, NDJSON, Server};
use crate::{ClientError, NewVersion, SwapStep, SwapWish};

fn report(id: u64) -> Value {
    json!({
        "id": id, "plugin": "mock", "kind": "swap", "cause": "upload", "at_ms": 1, "took_ms": 2, "stages": [],
        "handles": {"looked_at": 0, "adopted": 0, "failed": 0}, "calls": {"drained": 0, "reissued": 0},
        "verdict": "active",
    })
}

fn stage(state: &str) -> String {
    format!("{}\n", json!({"stage": state}))
}

fn ended(id: u64) -> String {
    format!("{}\n", json!({"report": report(id)}))
}

fn version(manifest: Option<&str>) -> NewVersion {
    NewVersion {
        component: Bytes::from_static(b"\0asm"),
        manifest: manifest.map(str::to_owned),
    }
}

#[tokio::test]
async fn stages_come_as_they_are_told_and_the_report_last() {
    let told = format!("{}{}{}", stage("verified"), stage("adopted"), ended(3));
    let server = Server::scripted([Answer::Stream(NDJSON, told)]).await;
    let wish = SwapWish {
        run: SwapRun::Dry,
        way: SwapWay::OneWay,
        adoption: Adoption::Lenient,
        node: Some("attic".to_owned()),
    };
    let mut swap = server.client().swap("mock", version(None), &wish);
    for state in [PluginState::Verified, PluginState::Adopted] {
        assert_eq!(swap.next().await.unwrap(), SwapStep::Stage(state));
    }
    let SwapStep::Report(last) = swap.next().await.unwrap() else {
        panic!("no report")
    };
    assert_eq!(last.id, 3);
    let asked = &server.asked()[0];
    assert_eq!(
        asked.line,
        "POST /api/v1/plugins/mock/swap?node=attic&dry_run=true&one_way=true&lenient=true"
    );
    assert_eq!(asked.content_type.as_deref(), Some("application/wasm"));
    assert_eq!(asked.body, "\0asm");
    assert!(asked.key.is_some());
}

#[tokio::test]
async fn a_manifest_travels_in_a_form_beside_the_component() {
    let server = Server::scripted([Answer::Stream(NDJSON, ended(1))]).await;
    let client = server.client();
    let swap = client.swap(
        "mock",
        version(Some("name = \"mock\"\n")),
        &SwapWish::default(),
    );
    assert_eq!(swap.report().await.unwrap().id, 1);
    let asked = &server.asked()[0];
    let kind = asked.content_type.as_deref().unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let parts: Vec<&str> = asked.body.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[3]), (4, "", "--\r\n"));
    for (part, name, content) in [
        (parts[1], "manifest", "name = \"mock\"\n"),
        (parts[2], "component", "\0asm"),
    ] {
        let (head, body) = part.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("form-data; name=\"{name}\"")),
            "{head}"
        );
        assert_eq!(body, format!("{content}\r\n"));
    }
}

#[tokio::test]
async fn a_broken_connection_is_gone_on_with_under_the_same_key() {
    let server = Server::scripted([
        Answer::Lost,
        Answer::Cut(NDJSON, stage("verified")),
        Answer::Stream(
            NDJSON,
            format!("{}{}", stage("verified"), "{\"error\": {\"status\": 503, \"code\": \"node-away\", \"detail\": \"away\", \"kind\": \"unavailable\"}}\n"),
        ),
        Answer::Stream(NDJSON, ended(2)),
    ])
    .await;
    let mut swap = server
        .client()
        .swap("mock", version(None), &SwapWish::default());
    let verified = SwapStep::Stage(PluginState::Verified);
    assert_eq!(swap.next().await.unwrap(), verified);
    assert_eq!(swap.report().await.unwrap().id, 2, "a stage is told once");
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert!(
        asked
            .iter()
            .all(|one| one.key == asked[0].key && one.body == asked[0].body)
    );
}

#[tokio::test]
async fn what_is_refused_is_not_sent_again() {
    for (status, kind) in [(409, "conflict"), (503, "unavailable")] {
        let problem =
            json!({"status": status, "code": "c", "detail": "already active", "kind": kind});
        let server = Server::scripted([Answer::Json(status, problem)]).await;
        let swap = server.client().rollback("mock", None);
        let error = swap.report().await.unwrap_err();
        assert!(matches!(error, ClientError::Api { .. }), "{error:?}");
        assert_eq!(error.to_string(), "already active");
        assert_eq!(server.asked().len(), 1);
        assert_eq!(server.asked()[0].line, "POST /api/v1/plugins/mock/rollback");
    }
}

#[tokio::test]
async fn plugins_are_listed_over_all_pages_and_shown_with_what_is_refused() {
    let row = |name: &str| {
        json!({"name": name, "kind": "backend", "version": "1", "digest": "aa", "state": "active",
               "reason": null, "usable": true, "file": "f.wasm"})
    };
    let server = Server::start(move |asked, _| {
        let newcomers = json!([{"file": "f.wasm", "digest": "bb", "version": "2", "state": "rejected", "reason": "traps"}]);
        if asked.line.contains("/plugins/mock") {
            let mut shown = row("mock");
            shown["newcomers"] = newcomers;
            return Answer::Json(200, shown);
        }
        if asked.line.contains("/quarantine/") {
            let one = json!({"node": "here", "plugin": "mock", "digest": "cc", "version": "2", "at_ms": 1, "reason": "r"});
            return Answer::Json(200, json!({"items": [one], "next": null}));
        }
        let (name, next) = if asked.line.contains("cursor=two") {
            ("b", None)
        } else {
            ("a", Some("two"))
        };
        Answer::Json(200, json!({"items": [row(name)], "next": next}))
    })
    .await;
    let client = server.client();
    let names: Vec<_> = client.plugins().await.unwrap().items;
    assert_eq!((names.len(), names[1].name.as_str()), (2, "b"));
    let shown = client.plugin("mock", Some("here")).await.unwrap();
    assert_eq!(shown.newcomers[0].reason.as_deref(), Some("traps"));
    assert_eq!(shown.plugin.name, "mock");
    assert!(server.asked()[2].line.ends_with("/plugins/mock?node=here"));
    let allowed = client.unquarantine("cccccccc").await.unwrap();
    assert_eq!(allowed.items[0].component.digest, "cc");
    assert!(server.asked()[3].key.is_some());
}
