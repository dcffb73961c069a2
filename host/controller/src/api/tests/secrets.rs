//! Secrets over the API: values go in, and do not come out.

use serde_json::{Value, json};

use crate::ControllerOptions;
use crate::SealingKey;
use crate::tests::support::{Bench, NOW_MS, key, options};

async fn uses(bench: &Bench, name: &str, secret: &str) {
    let env = json!({"TOKEN": {"secret": secret}});
    let body = json!({"name": name, "backend": "mock", "env": env});
    let answer = bench.ask("POST", "/api/v1/workloads", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn a_secret_is_set_shown_without_its_value_set_anew_and_removed() {
    let bench = Bench::new().await;
    let set = bench.secret("db", "hunter2").await;
    let keys: Vec<_> = set.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["changed_at_ms", "created_at_ms", "name", "revision"]);
    assert_eq!(
        (&set["name"], &set["created_at_ms"], &set["changed_at_ms"]),
        (&json!("db"), &json!(NOW_MS), &json!(NOW_MS))
    );
    bench.clock.advance(std::time::Duration::from_millis(5));
    let anew = bench.secret("db", "hunter3").await;
    assert_eq!(
        (&anew["created_at_ms"], &anew["changed_at_ms"]),
        (&json!(NOW_MS), &json!(NOW_MS + 5))
    );
    assert!(anew["revision"].as_u64() > set["revision"].as_u64());

    let list = bench.get("/api/v1/secrets").await.json();
    let mut shown = anew.clone();
    shown["used_by"] = json!([]);
    assert_eq!(list, json!({"items": [shown], "next": null}));
    let gone = bench.ask("DELETE", "/api/v1/secrets/db", Value::Null).await;
    assert_eq!((gone.status.as_u16(), gone.json()), (200, anew));
    bench
        .ask("DELETE", "/api/v1/secrets/db", Value::Null)
        .await
        .problem(404, "secret-not-found");
    let events = [("secret.set", 2), ("secret.removed", 1)];
    for (kind, count) in events {
        for event in bench.events(kind, count).await {
            assert_eq!(
                (event.subject.as_str(), event.name.as_deref()),
                ("db", Some("db"))
            );
            assert!(event.details.is_empty());
        }
    }
}

#[tokio::test]
async fn the_list_comes_in_pages_with_who_uses_what() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    for name in ["e", "a", "c", "b", "d"] {
        bench.secret(name, "v").await;
    }
    uses(&bench, "web", "c").await;
    uses(&bench, "api", "c").await;
    uses(&bench, "gone", "d").await;
    bench
        .ask("DELETE", "/api/v1/workloads/gone", Value::Null)
        .await;
    let (mut names, mut path) = (Vec::new(), "/api/v1/secrets?limit=2".to_owned());
    loop {
        let page = bench.get(&path).await.json();
        for item in page["items"].as_array().unwrap() {
            let used_by = match item["name"].as_str() {
                Some("c") => json!(["api", "web"]),
                _ => json!([]),
            };
            assert_eq!(item["used_by"], used_by, "{item}");
            names.push(item["name"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/secrets?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn what_is_no_value_is_refused_with_what_would_be() {
    let bench = Bench::new().await;
    let most = vec![b'x'; 64 * 1024];
    let more = vec![b'x'; 64 * 1024 + 1];
    let path = "/api/v1/secrets/db";
    for (headers, body, status, code, text) in [
        (vec![], vec![], 422, "secret-empty", "at least one byte"),
        (vec![], more, 413, "secret-too-large", "65536 bytes"),
        (
            vec![("content-type", "application/json")],
            br#""x""#.to_vec(),
            415,
            "secret-as-json",
            "application/octet-stream",
        ),
    ] {
        let answer = bench.send("PUT", path, &headers, body).await;
        let problem = answer.problem(status, code);
        assert!(
            problem["detail"].as_str().unwrap().contains(text),
            "{problem}"
        );
    }
    for name in ["UPPER", "a_b", "-"] {
        let answer = bench
            .send("PUT", &format!("/api/v1/secrets/{name}"), &[], "v")
            .await;
        answer.problem(422, "invalid-secret-name");
    }
    bench
        .send("PUT", "/api/v1/secrets/db?force", &[], "v")
        .await
        .problem(422, "unknown-parameter");
    assert_eq!(
        bench.get("/api/v1/secrets").await.json()["items"],
        json!([])
    );
    let forms = [
        vec![],
        vec![("content-type", "application/octet-stream")],
        vec![("content-type", "text/plain")],
        vec![("content-type", "application/x-www-form-urlencoded")],
    ];
    for headers in forms {
        let answer = bench.send("PUT", path, &headers, most.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn a_secret_in_use_goes_only_by_force() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    bench.secret("db", "v").await;
    for number in 0..12 {
        uses(&bench, &format!("w{number:02}"), "db").await;
    }
    let problem = bench
        .ask("DELETE", "/api/v1/secrets/db", Value::Null)
        .await
        .problem(409, "secret-in-use");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("w00, w01") && detail.contains("2 more"),
        "{detail}"
    );
    let gone = bench
        .ask("DELETE", "/api/v1/secrets/db?force=true", Value::Null)
        .await;
    assert_eq!(gone.status, 200);
    // Nobody can name it any more.
    let body = json!({"backend": "mock", "files": {"a/b": {"secret": "db"}}});
    let problem = bench
        .ask("POST", "/api/v1/workloads", body)
        .await
        .problem(422, "no-secret");
    assert_eq!(problem["details"]["pointer"], "/files/a~1b/secret");
}

#[tokio::test]
async fn a_key_and_a_value_are_answered_once_and_another_value_is_another_request() {
    let bench = Bench::new().await;
    let set = async |value: &str| {
        let headers = [("idempotency-key", "k")];
        bench
            .send("PUT", "/api/v1/secrets/db", &headers, value.to_owned())
            .await
    };
    let first = set("one").await;
    assert_eq!(
        (first.status.as_u16(), &first.text),
        (200, &set("one").await.text)
    );
    set("two").await.problem(409, "idempotency-key-reused");
    assert_eq!(bench.events("secret.set", 1).await.len(), 1);
}

#[tokio::test]
async fn without_its_key_everything_goes_on_but_secrets() {
    let bench = Bench::new().await;
    bench.secret("db", "v").await;
    assert!(bench.store.snapshot().state.has_secrets());
    let with = |sealing_key| {
        let options = ControllerOptions {
            sealing_key,
            ..options()
        };
        Bench::with(bench.disk.clone(), bench.clock.clone(), options)
    };
    let without = with(Err(SealingKey::missing("there is no file data/secret.key"))).await;
    let _node = without.node().await;
    let problem = without
        .send("PUT", "/api/v1/secrets/db", &[], "v")
        .await
        .problem(503, "no-sealing-key");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("data/secret.key") && detail.contains("put back"),
        "{detail}"
    );
    assert_eq!(
        without.get("/api/v1/secrets").await.json()["items"][0]["name"],
        "db"
    );
    uses(&without, "web", "db").await;
    without.create("other").await;
    let path = "/api/v1/secrets/db?force=true";
    assert_eq!(without.ask("DELETE", path, Value::Null).await.status, 200);
    drop(without);
    // Another key seals what is set from now on.
    let other = with(Ok(key(2))).await;
    other.secret("db", "v").await;
}

#[tokio::test]
async fn a_workload_that_comes_too_late_for_its_secret_is_refused() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    bench.secret("db", "v").await;
    let body = json!({"backend": "mock", "env": {"A": {"secret": "db"}}});
    // Both look before either has written.
    let (removed, created) = tokio::join!(
        bench.ask("DELETE", "/api/v1/secrets/db", Value::Null),
        bench.ask("POST", "/api/v1/workloads", body),
    );
    assert_eq!(removed.status, 200);
    created.problem(422, "no-secret");
}
