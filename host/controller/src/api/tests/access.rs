//! Closed unless let out: walked over every route of the description.

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use crate::Controller;
use crate::tests::support::{Bench, TOKEN, answer};

/// What needs no token.
const OPEN: [&str; 2] = ["/health", "/ready"];

/// Every method and path of the description.
pub(super) fn routes() -> Vec<(String, String)> {
    let description: Value = serde_json::from_str(&Controller::openapi()).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        item.as_object()
            .unwrap()
            .keys()
            .map(|method| method.to_uppercase())
            .collect::<Vec<_>>()
    };
    paths
        .iter()
        .flat_map(|(path, item)| {
            methods(item)
                .into_iter()
                .map(|method| (method, path.clone()))
        })
        .collect()
}

fn request(method: &str, path: &str, authorization: Option<&str>) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path.replace("{name}", "x"));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn every_route_is_closed_but_two() {
    let bench = Bench::new().await;
    let unknown = [
        "/",
        "/api/v1",
        "/api/v1/tokens",
        "/health/x",
        "/api/v1/workloads/x/nothing",
    ];
    let unknown = unknown
        .iter()
        .map(|path| ("GET".to_owned(), (*path).to_owned()));
    let undescribed = [
        ("PUT".to_owned(), "/api/v1/workloads".to_owned()),
        ("OPTIONS".to_owned(), "/api/v1/events".to_owned()),
        (
            "GET".to_owned(),
            "/api/v1/workloads/x/preview/http".to_owned(),
        ),
        (
            "PUT".to_owned(),
            "/api/v1/workloads/x/preview/http/a/b".to_owned(),
        ),
    ];
    let mut closed = 0;
    for (method, path) in routes().into_iter().chain(unknown).chain(undescribed) {
        if OPEN.contains(&path.as_str()) {
            assert_eq!(
                answer(bench.router(), request(&method, &path, None))
                    .await
                    .status,
                200,
                "{path}"
            );
            continue;
        }
        let near = format!("Bearer {TOKEN}x");
        for shown in [
            None,
            Some("Bearer "),
            Some("Bearer wrong"),
            Some(near.as_str()),
            Some(TOKEN),
            Some("Basic dGhlLWFkbWluLXRva2Vu"),
        ] {
            let refused = answer(bench.router(), request(&method, &path, shown)).await;
            assert_eq!(
                refused.headers["www-authenticate"], "Bearer",
                "{method} {path} {shown:?}"
            );
            let problem = refused.problem(401, "unauthorized");
            assert!(
                problem["detail"].as_str().unwrap().contains("admin.token"),
                "{problem}"
            );
            assert!(!refused.text.contains(TOKEN));
        }
        let shown = format!("bearer {TOKEN}");
        assert_ne!(
            answer(bench.router(), request(&method, &path, Some(&shown)))
                .await
                .status,
            401,
            "{method} {path}"
        );
        closed += 1;
    }
    assert!(closed >= 18, "{closed}");
}
