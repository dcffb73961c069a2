//! Every failure is a problem that says what to do.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::tests::support::{Bench, TOKEN, answer};

fn post(body: &str, content_type: Option<&str>) -> Request<Body> {
    let mut request =
        Request::post("/api/v1/workloads").header("authorization", format!("Bearer {TOKEN}"));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

#[tokio::test]
async fn bodies_that_cannot_be_read_say_why_and_where() {
    let bench = Bench::new().await;
    let json = Some("application/json");
    let large = format!(r#"{{"command":["{}"]}}"#, "x".repeat(4 * 1024 * 1024));
    for (body, content_type, status, code, texts) in [
        (
            r#"{"comand":["x"]}"#,
            json,
            422,
            "invalid-body",
            &["`comand`", "`command`", "`env`", "line 1 column 9"][..],
        ),
        (
            r#"{"command":"x"}"#,
            json,
            422,
            "invalid-body",
            &["expected a sequence", "column"],
        ),
        (
            r#"{"name":"Not A Name"}"#,
            json,
            422,
            "invalid-body",
            &["a-z"],
        ),
        ("{\n\"name\":}", json, 400, "malformed-json", &["line 2"]),
        ("", None, 503, "no-node", &["joined"]),
        (
            "name=web",
            Some("application/x-www-form-urlencoded"),
            415,
            "not-json",
            &["Content-Type: application/json"],
        ),
        (
            large.as_str(),
            json,
            413,
            "body-too-large",
            &["4194304 bytes"],
        ),
    ] {
        let problem = answer(bench.router(), post(body, content_type))
            .await
            .problem(status, code);
        for text in texts {
            assert!(
                problem["detail"].as_str().unwrap().contains(text),
                "{text}: {problem}"
            );
        }
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_say_what_would() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    let long = "k".repeat(256);
    for (method, path, body, status, code, text) in [
        (
            "GET",
            "/api/v1/nothing",
            Value::Null,
            404,
            "no-such-path",
            "openapi.json",
        ),
        (
            "PUT",
            "/api/v1/workloads",
            Value::Null,
            405,
            "no-such-method",
            "PUT",
        ),
        (
            "POST",
            "/health",
            Value::Null,
            405,
            "no-such-method",
            "POST",
        ),
        (
            "GET",
            "/api/v1/workloads/nobody",
            Value::Null,
            404,
            "workload-not-found",
            "workload ls",
        ),
        (
            "DELETE",
            "/api/v1/workloads/nobody",
            Value::Null,
            404,
            "workload-not-found",
            "workload ls",
        ),
        (
            "GET",
            "/api/v1/workloads/nobody/logs",
            Value::Null,
            404,
            "workload-not-found",
            "workload ls",
        ),
        (
            "POST",
            "/api/v1/workloads/No%20Name/stop",
            json!({}),
            404,
            "workload-not-found",
            "No Name",
        ),
        (
            "GET",
            "/api/v1/workloads/%FF",
            Value::Null,
            422,
            "invalid-path",
            "UTF-8",
        ),
        (
            "POST",
            "/api/v1/workloads/x/stop",
            json!({"grace": 1}),
            422,
            "invalid-body",
            "grace_ms",
        ),
        (
            "DELETE",
            "/api/v1/workloads/x?grace_ms=soon",
            Value::Null,
            422,
            "invalid-parameter",
            "milliseconds",
        ),
        (
            "GET",
            "/api/v1/workloads?limit=0",
            Value::Null,
            422,
            "invalid-parameter",
            "1 to 500",
        ),
        (
            "GET",
            "/api/v1/workloads?limit=501",
            Value::Null,
            422,
            "invalid-parameter",
            "1 to 500",
        ),
        (
            "GET",
            "/api/v1/workloads?limit=5&limit=6",
            Value::Null,
            422,
            "invalid-parameter",
            "twice",
        ),
        (
            "GET",
            "/api/v1/workloads?cursor=x",
            Value::Null,
            422,
            "invalid-parameter",
            "next",
        ),
        (
            "GET",
            "/api/v1/workloads?label=a",
            Value::Null,
            422,
            "invalid-parameter",
            "KEY=VALUE",
        ),
        (
            "GET",
            "/api/v1/workloads?state=up",
            Value::Null,
            422,
            "invalid-parameter",
            "running",
        ),
        (
            "GET",
            "/api/v1/workloads?labels=a",
            Value::Null,
            422,
            "unknown-parameter",
            "label",
        ),
        (
            "GET",
            "/api/v1/secrets?cursor=No%20Name",
            Value::Null,
            422,
            "invalid-parameter",
            "next",
        ),
        (
            "DELETE",
            "/api/v1/secrets/nobody",
            Value::Null,
            404,
            "secret-not-found",
            "secret ls",
        ),
        (
            "DELETE",
            "/api/v1/secrets/nobody?force=maybe",
            Value::Null,
            422,
            "invalid-parameter",
            "true or false",
        ),
        (
            "POST",
            "/api/v1/workloads?dry_run=perhaps",
            json!({}),
            422,
            "invalid-parameter",
            "true or false",
        ),
        (
            "GET",
            "/api/v1/plugins/nobody",
            Value::Null,
            404,
            "plugin-not-found",
            "plugin ls",
        ),
        (
            "GET",
            "/api/v1/events?after=999",
            Value::Null,
            422,
            "event-ahead",
            "newest",
        ),
        (
            "POST",
            "/api/v1/workloads",
            json!({"backend": "nobody"}),
            422,
            "no-backend",
            "mock",
        ),
        (
            "POST",
            "/api/v1/workloads",
            json!({"backend": "broken"}),
            422,
            "backend-rejected",
            "plugin ls",
        ),
        (
            "POST",
            "/api/v1/workloads",
            json!({"backend": "mock", "config": {"dely": 1}}),
            422,
            "invalid-config",
            "dely",
        ),
    ] {
        let problem = bench.ask(method, path, body).await.problem(status, code);
        assert!(
            problem["detail"].as_str().unwrap().contains(text),
            "{path}: {problem}"
        );
    }
    for key in ["", &long] {
        bench
            .ask_with(
                "DELETE",
                "/api/v1/workloads/x",
                Value::Null,
                &[("idempotency-key", key)],
            )
            .await
            .problem(422, "invalid-idempotency-key");
    }
    bench
        .ask_with(
            "GET",
            "/api/v1/events",
            Value::Null,
            &[("last-event-id", "x")],
        )
        .await
        .problem(422, "invalid-parameter");
}

#[tokio::test]
async fn every_reason_against_a_spec_comes_at_once() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    bench.create("web").await;
    let body = json!({"name": "web", "backend": "mock", "command": ["$(X)"], "env": {"PORT_A": "1"}, "config": {"delay_ms": "x"}});
    let problem = bench
        .ask("POST", "/api/v1/workloads", body)
        .await
        .problem(422, "unknown-variable");
    let codes: Vec<_> = problem["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        [
            "unknown-variable",
            "reserved-env-name",
            "invalid-config",
            "name-taken"
        ]
    );
    assert_eq!(
        problem["reasons"][2]["details"]["pointer"],
        "/config/delay_ms"
    );
    assert_eq!(
        bench.get("/api/v1/workloads").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
