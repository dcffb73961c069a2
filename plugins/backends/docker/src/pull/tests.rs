use super::*;

fn answer(status: u16, job: Option<&str>, body: &str) -> Answer {
    Answer {
        job: job.map(str::to_owned),
        ..Answer::new(status, body.as_bytes())
    }
}

const LINES: &str = r#"{"status":"Pulling from library/busybox","id":"1"}
{"status":"Downloading","progressDetail":{"current":10,"total":100},"id":"aa"}
{"status":"Downloading","progressDetail":{"current":50,"total":100},"id":"aa"}
{"status":"Extracting","progressDetail":{"current":5,"total":300},"id":"bb"}
not json
{"status":"Downloading","progressDetail":{"current":30,"total":20},"id":"cc"}
"#;

#[test]
fn while_it_goes_on_bytes_are_added_up() {
    let Pulled::Under(progress) = read("busybox:1", &answer(202, Some("running"), LINES)).unwrap()
    else {
        panic!()
    };
    assert_eq!(progress.done, Some((70, 120)));
    assert_eq!(progress.message, "fetching busybox:1: downloading");
    let Pulled::Under(first) = read("a", &answer(202, Some("running"), "")).unwrap() else {
        panic!()
    };
    assert_eq!((first.message.as_str(), first.done), ("fetching a", None));
}

#[test]
fn its_end_is_told() {
    let done = answer(200, Some("done"), r#"{"status":"Download complete"}"#);
    assert_eq!(read("a", &done).unwrap(), Pulled::Done);
    for (status, job, body, kind, code) in [
        (
            200,
            Some("done"),
            r#"{"errorDetail":{"message":"x"},"error":"write /x: no space left on device"}"#,
            ErrorKind::Exhausted,
            "engine-disk-full",
        ),
        (
            200,
            Some("cut-short"),
            r#"{"status":"Downloading"}"#,
            ErrorKind::Unavailable,
            "pull-cut-short",
        ),
        (
            200,
            Some("failed"),
            r#"{"status":"Downloading"}"#,
            ErrorKind::Unavailable,
            "pull-failed",
        ),
        (
            404,
            Some("done"),
            r#"{"message":"manifest for a:1 not found: manifest unknown"}"#,
            ErrorKind::NotFound,
            "image-missing",
        ),
        (
            500,
            None,
            r#"{"message":"dial tcp 127.0.0.1:9: connect: connection refused"}"#,
            ErrorKind::Unavailable,
            "registry-unreachable",
        ),
    ] {
        let error = read("a:1", &answer(status, job, body)).unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{body}");
        assert!(error.message.contains("a:1"), "{}", error.message);
    }
}

#[test]
fn a_registry_that_is_not_allowed_is_said() {
    let refused = |at: &str| {
        let mut error = Error::new(ErrorKind::Denied, "refused-by-rule", "why");
        error.details = vec![("at".to_owned(), at.to_owned())];
        unsent("r.example:5000/a:1", error)
    };
    let error = refused("query.fromImage");
    assert_eq!(error.kind, ErrorKind::Denied);
    assert_eq!(error.code, "registry-not-allowed");
    assert!(error.message.contains("docker pull r.example:5000/a:1"));
    assert_eq!(refused("query.tag").code, "refused-by-rule");
}

#[test]
fn what_was_fetched_and_is_gone_is_fetched_again() {
    let error = gone("a:1");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.retry_after_ms.is_some());
}
