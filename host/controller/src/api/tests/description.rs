//! The description is the code's own.

use std::collections::BTreeSet;

use serde_json::Value;

use super::access::routes;
use crate::Controller;
use crate::tests::support::Bench;

#[test]
fn every_route_is_described_with_its_errors() {
    let text = Controller::openapi();
    assert_eq!(text, Controller::openapi());
    assert!(text.ends_with("}\n"));
    let description: Value = serde_json::from_str(&text).unwrap();
    assert!(
        description["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        description["openapi"]
    );
    assert_eq!(description["info"]["title"], "fleet-host");
    assert_eq!(
        description["components"]["securitySchemes"]["token"]["scheme"],
        "bearer"
    );
    let got: BTreeSet<_> = routes()
        .into_iter()
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    let want = [
        "GET /health",
        "GET /ready",
        "GET /api/v1/openapi.json",
        "GET /api/v1/workloads",
        "POST /api/v1/workloads",
        "GET /api/v1/workloads/{name}",
        "DELETE /api/v1/workloads/{name}",
        "POST /api/v1/workloads/{name}/start",
        "POST /api/v1/workloads/{name}/stop",
        "POST /api/v1/workloads/{name}/extend",
        "POST /api/v1/workloads/{name}/commands",
        "GET /api/v1/workloads/{name}/packets",
        "GET /api/v1/workloads/{name}/logs",
        "GET /api/v1/workloads/{name}/files",
        "PUT /api/v1/workloads/{name}/files",
        "DELETE /api/v1/workloads/{name}/files",
        "GET /api/v1/workloads/{name}/files/list",
        "GET /api/v1/workloads/{name}/files/stat",
        "GET /api/v1/workloads/{name}/files/uploads",
        "POST /api/v1/workloads/{name}/files/folders",
        "POST /api/v1/workloads/{name}/files/move",
        "POST /api/v1/workloads/{name}/execs",
        "GET /api/v1/workloads/{name}/execs",
        "GET /api/v1/execs/{id}",
        "DELETE /api/v1/execs/{id}",
        "POST /api/v1/execs/{id}/signals",
        "GET /api/v1/execs/{id}/attach",
        "POST /api/v1/workloads/{name}/signals",
        "GET /api/v1/workloads/{name}/stats",
        "GET /api/v1/stats",
        "GET /api/v1/workloads/{name}/ports/{port}/connect",
        "GET /api/v1/workloads/{name}/preview/{port}/",
        "GET /api/v1/secrets",
        "PUT /api/v1/secrets/{name}",
        "DELETE /api/v1/secrets/{name}",
        "GET /api/v1/plugins",
        "GET /api/v1/plugins/{name}",
        "GET /api/v1/plugins/{name}/history",
        "POST /api/v1/plugins/{name}/rollback",
        "POST /api/v1/plugins/{name}/swap",
        "DELETE /api/v1/quarantine/{digest}",
        "GET /api/v1/nodes",
        "GET /api/v1/events",
    ];
    assert_eq!(got, want.into_iter().map(str::to_owned).collect());
    let mut names = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} is there twice");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_told = response["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty());
                assert!(is_told, "{method} {path} {status}");
            }
            if path.starts_with("/api/") && !path.ends_with(".json") {
                let problem =
                    &operation["responses"]["default"]["content"]["application/problem+json"];
                assert!(problem.is_object(), "{method} {path}");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let description: Value = serde_json::from_str(&Controller::openapi()).unwrap();
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| walk(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(&description, &mut found);
    assert!(found.len() > 10, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn it_is_served_as_it_is_generated() {
    let bench = Bench::new().await;
    let served = bench.get("/api/v1/openapi.json").await;
    assert_eq!(
        (served.status.as_u16(), served.text),
        (200, Controller::openapi())
    );
}
