use std::time::Duration;

use fleet_model::ErrorKind;
use fleet_model::workload::WorkloadSpec;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Answer, Server, workload};
use crate::{Client, ClientError, ClientOptions, WorkloadQuery};

fn spec() -> WorkloadSpec {
    serde_json::from_value(json!({"name": "web", "command": ["true"]})).unwrap()
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let accepted = Answer::Json(201, workload("pending", 1, None));
    let server = Server::scripted([Answer::Lost, Answer::Lost, accepted]).await;
    let made = server.client().create(&spec()).await.unwrap();
    assert_eq!(made.name.as_str(), "web");
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|one| one.key == asked[0].key && one.body == asked[0].body)
    );
    assert_eq!(asked[0].key.as_ref().map(String::len), Some(32));
    assert_eq!(asked[0].authorization.as_deref(), Some("Bearer secret"));
}

#[tokio::test]
async fn each_change_has_its_own_key_and_reading_has_none() {
    let answer = || Answer::Json(200, workload("running", 1, Some(1)));
    let server = Server::scripted([answer(), answer(), answer(), answer()]).await;
    let client = server.client();
    client.workload("web").await.unwrap();
    client
        .stop("web", Some(Duration::from_secs(3)))
        .await
        .unwrap();
    client.start("web").await.unwrap();
    client
        .remove("web", Some(Duration::from_millis(5)))
        .await
        .unwrap();
    let asked = server.asked();
    let lines: Vec<_> = asked.iter().map(|one| one.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "GET /api/v1/workloads/web",
            "POST /api/v1/workloads/web/stop",
            "POST /api/v1/workloads/web/start",
            "DELETE /api/v1/workloads/web?grace_ms=5",
        ]
    );
    assert_eq!(asked[1].body, r#"{"grace_ms":3000}"#);
    assert_eq!(asked[0].key, None);
    assert!(asked[1].key.is_some() && asked[2].key.is_some() && asked[3].key.is_some());
    assert!(asked[1].key != asked[2].key && asked[2].key != asked[3].key);
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let problem =
        json!({"status": 409, "code": "name-taken", "detail": "taken", "kind": "conflict"});
    let server = Server::scripted([Answer::Json(409, problem)]).await;
    let error = server.client().create(&spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        matches!(&error, ClientError::Api { status: 409, error } if error.code == "name-taken")
    );
    assert_eq!(error.to_string(), "taken");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn where_nobody_listens_the_answer_is_immediate_and_names_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(ClientOptions::new(&url)).unwrap();
    let error = client.create(&spec()).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Unreachable { server, .. } if *server == url),
        "{error:?}"
    );
    assert_eq!(error.to_string(), format!("nothing answers at {url}"));
}

#[tokio::test]
async fn all_pages_are_fetched() {
    let server = Server::start(|asked, _| {
        let next = if asked.line.contains("cursor=two") {
            None
        } else {
            Some("two")
        };
        Answer::Json(
            200,
            json!({"items": [workload("running", 1, Some(1))], "next": next}),
        )
    })
    .await;
    let mut query = WorkloadQuery::default();
    query.labels.insert("app".into(), "web".into());
    assert_eq!(server.client().workloads(&query).await.unwrap().len(), 2);
    assert_eq!(
        server.asked()[1].line,
        "GET /api/v1/workloads?limit=200&label=app%3Dweb&cursor=two"
    );
}

#[tokio::test]
async fn another_program_on_the_port_is_told_apart() {
    let server = Server::scripted([Answer::Json(200, json!("hello"))]).await;
    let error = server.client().workload("web").await.unwrap_err();
    assert!(matches!(error, ClientError::Foreign { .. }), "{error:?}");
}
