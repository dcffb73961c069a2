use super::*;

fn body(message: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({ "message": message })).unwrap()
}

#[test]
fn what_engines_say_is_understood() {
    use Doing::{Create, Other, Pull, Start};
    use ErrorKind::{Conflict, Denied, Exhausted, Invalid, NotFound, Unavailable, Unsupported};
    for (doing, status, message, kind, code) in [
        // As Docker 20.10 said them.
        (
            Create,
            400,
            "invalid reference format: repository name must be lowercase",
            Invalid,
            "image-reference",
        ),
        (
            Create,
            400,
            "No command specified",
            Invalid,
            "command-missing",
        ),
        (
            Start,
            400,
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"nonesuch\": executable file not found in $PATH: unknown",
            Invalid,
            "program-missing",
        ),
        (
            Start,
            500,
            "unable to find user nosuch: no matching entries in passwd file",
            Invalid,
            "user-missing",
        ),
        (
            Start,
            500,
            "driver failed programming external connectivity on endpoint x: Error starting userland proxy: listen tcp4 127.0.0.1:80: bind: address already in use",
            Conflict,
            "port-taken",
        ),
        (
            Start,
            500,
            "Bind for 127.0.0.1:80 failed: port is already allocated",
            Conflict,
            "port-taken",
        ),
        (
            Start,
            500,
            "task 29fce69e: already exists",
            Unavailable,
            "engine-leftover",
        ),
        (
            Start,
            500,
            "failed to start shim: mkdir /run/docker/x/29fce69e: file exists: unknown",
            Unavailable,
            "engine-leftover",
        ),
        (
            Start,
            400,
            "exec: \"docker-init\": executable file not found in $PATH: unknown",
            Unsupported,
            "init-missing",
        ),
        (
            Other,
            404,
            "No such container: c0",
            NotFound,
            "container-gone",
        ),
        (
            Other,
            409,
            "Container c0 is not running",
            Conflict,
            "engine-conflict",
        ),
        (
            Pull,
            404,
            "pull access denied for nope, repository does not exist or may require 'docker login'",
            NotFound,
            "image-missing",
        ),
        (
            Pull,
            404,
            "manifest for busybox:nope not found: manifest unknown",
            NotFound,
            "image-missing",
        ),
        (
            Pull,
            500,
            "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
            Unavailable,
            "registry-unreachable",
        ),
        (
            Pull,
            500,
            "Get \"http://127.0.0.1:9/v2/\": dial tcp 127.0.0.1:9: connect: connection refused",
            Unavailable,
            "registry-unreachable",
        ),
        (
            Pull,
            500,
            "toomanyrequests: You have reached your pull rate limit",
            Exhausted,
            "registry-limit",
        ),
        (
            Pull,
            500,
            "unauthorized: authentication required",
            Denied,
            "registry-denied",
        ),
        (
            Pull,
            200,
            "write /var/lib/docker/tmp/x: no space left on device",
            Exhausted,
            "engine-disk-full",
        ),
        (
            Create,
            500,
            "mkdir /var/lib/docker/overlay2/x: no space left on device",
            Exhausted,
            "engine-disk-full",
        ),
        (
            Start,
            500,
            "NO SPACE LEFT ON DEVICE",
            Exhausted,
            "engine-disk-full",
        ),
        // Without words, as the shipped policy has it.
        (Pull, 401, "", Denied, "registry-denied"),
        (Pull, 403, "", Denied, "registry-denied"),
        (Pull, 404, "", NotFound, "image-missing"),
        (Pull, 429, "", Exhausted, "registry-limit"),
        (Pull, 500, "", Unavailable, "pull-failed"),
        (Pull, 418, "", Unavailable, "pull-failed"),
        // What nobody foresaw.
        (
            Create,
            400,
            "Minimum memory limit allowed is 6MB",
            Invalid,
            "engine-refused",
        ),
        (Create, 500, "something", Unavailable, "engine-failed"),
        (Other, 503, "", Unavailable, "engine-failed"),
        (Other, 403, "no", Denied, "engine-denied"),
        (Other, 418, "short and stout", Unavailable, "engine-answer"),
        (Other, 0, "", Unavailable, "engine-answer"),
        // The same words where they mean nothing of the kind.
        (Other, 404, "not found", NotFound, "container-gone"),
        (
            Other,
            500,
            "permission denied",
            Unavailable,
            "engine-failed",
        ),
    ] {
        let error = error(doing, &Answer::new(status, &body(message)));
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{message}");
        assert!(error.message.contains(message), "{}", error.message);
    }
}

#[test]
fn rows_are_written_as_they_are_compared() {
    for Row(_, part, _, code, remedy) in ROWS {
        assert_eq!(*part, part.to_lowercase());
        assert!(!remedy.is_empty() && !code.is_empty());
    }
}

#[test]
fn what_is_not_owned_is_gone_and_other_refusals_stay() {
    let refused = |code: &str, at: &str, why: Option<&str>| {
        let mut error = Error::new(ErrorKind::Denied, code, "why");
        error.details = vec![("at".to_owned(), at.to_owned())];
        let why = why.map(|why| ("why".to_owned(), why.to_owned()));
        error.details.extend(why);
        unsent(error).kind
    };
    let not_owned = Some("not-owned");
    for (code, at, why, kind) in [
        ("refused-by-rule", "path.id", not_owned, ErrorKind::NotFound),
        (
            "refused-by-rule",
            "query.container",
            not_owned,
            ErrorKind::NotFound,
        ),
        // Another workload's, or another version than the policy's.
        ("refused-by-rule", "path.id", None, ErrorKind::Denied),
        ("refused-by-rule", "path.version", None, ErrorKind::Denied),
        ("refused-by-rule", "path", None, ErrorKind::Denied),
        ("refused-by-rule", "query.signal", None, ErrorKind::Denied),
        ("refused-by-rule", "body/Image", None, ErrorKind::Denied),
        ("no-rule", "path", None, ErrorKind::Denied),
        ("not-granted", "path", None, ErrorKind::Denied),
    ] {
        assert_eq!(refused(code, at, why), kind, "{code} {at}");
    }
}

#[test]
fn who_is_not_reached_is_said() {
    for (code, named) in [
        ("no-endpoint", true),
        ("endpoint-permission", true),
        ("cut-short", false),
    ] {
        let error = unsent(Error::new(ErrorKind::Unavailable, code, "why"));
        assert_eq!(error.code, code);
        assert_eq!(
            error.message.contains("the engine cannot be reached"),
            named
        );
        assert!(error.message.ends_with("why"));
    }
}

#[test]
fn what_is_too_large_is_the_workloads_fault() {
    let refused = |at: &str, allowed: &str| {
        let mut error = Error::new(ErrorKind::Denied, "refused-by-rule", "why");
        let details = [("at", at), ("allowed", allowed)];
        error.details = details.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        unsent(error)
    };
    let large = refused("body", "4194304 bytes");
    assert_eq!(large.kind, ErrorKind::Invalid);
    assert_eq!(large.code, "start-too-large");
    for (at, allowed) in [
        ("body", "a body by the rule's schema"),
        ("body/Env", "4194304 bytes"),
        ("path", "32768 bytes"),
    ] {
        assert_eq!(refused(at, allowed).kind, ErrorKind::Denied, "{at}");
    }
}
