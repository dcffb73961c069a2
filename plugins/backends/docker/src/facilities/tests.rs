use serde_json::json;

use super::*;

fn version(engine: &str, os: &str, least: &str, most: &str) -> Version {
    let body = json!({
        "Version": "20.10.24", "ApiVersion": most, "MinAPIVersion": least, "Os": os,
        "Components": [{"Name": engine, "Version": "20.10.24"}, {"Name": "runc"}],
    });
    read(&Answer::new(200, body.to_string().as_bytes())).unwrap()
}

fn info() -> Info {
    let body = json!({
        "Driver": "overlay2", "CgroupDriver": "cgroupfs", "CgroupVersion": "1", "InitBinary": "docker-init",
        "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"], "LiveRestoreEnabled": true,
        "CpuCfsQuota": true, "MemoryLimit": true, "PidsLimit": false,
    });
    read(&Answer::new(200, body.to_string().as_bytes())).unwrap()
}

fn attribute<'a>(found: &'a Facilities, name: &str) -> Option<&'a str> {
    let (_, value) = found.attributes.iter().find(|(key, _)| key == name)?;
    Some(value)
}

#[test]
fn a_good_engine_is_described() {
    let version = version("Engine", "linux", "1.12", "1.41");
    let found = found(&version, version.api(), Some(&info()));
    assert_eq!(found.unusable, None);
    for (name, value) in [
        ("engine", "docker"),
        ("engine-version", "20.10.24"),
        ("api-version", "1.41"),
        ("api-spoken", "1.41"),
        ("storage-driver", "overlay2"),
        ("cgroup-version", "1"),
        ("rootless", "yes"),
        ("seccomp", "yes"),
        ("limits", "cpu, memory"),
        ("live-restore", "yes"),
        ("health", "ok"),
    ] {
        assert_eq!(attribute(&found, name), Some(value), "{name}");
    }
    let plain = Info::default();
    let bare = super::found(&version, version.api(), Some(&plain));
    assert_eq!(attribute(&bare, "rootless"), Some("no"));
    assert_eq!(attribute(&bare, "storage-driver"), None);
}

#[test]
fn an_engine_that_cannot_be_used_says_why() {
    for (engine, os, least, most, part) in [
        ("Engine", "linux", "1.12", "1.40", "too old"),
        ("Engine", "linux", "1.50", "1.60", "too new"),
        ("Engine", "windows", "1.24", "1.41", "for windows"),
        ("Podman Engine", "linux", "1.24", "1.41", "Podman"),
        ("Engine", "linux", "1.12", "x", "which is none"),
    ] {
        let version = version(engine, os, least, most);
        let found = found(&version, version.api(), None);
        let reason = found.unusable.clone().unwrap();
        assert!(reason.contains(part), "{reason}");
        assert_eq!(attribute(&found, "engine-version"), Some("20.10.24"));
        assert_eq!(attribute(&found, "health"), None);
    }
    let podman = version("Podman Engine", "linux", "1.24", "1.41");
    let found = found(&podman, podman.api(), None);
    assert_eq!(attribute(&found, "engine"), Some("podman"));
}

#[test]
fn no_engine_is_a_reason_and_a_bug_is_an_error() {
    let gone = Error::new(ErrorKind::Unavailable, "no-endpoint", "nothing listens");
    assert_eq!(
        none(gone).unwrap().unusable.as_deref(),
        Some("nothing listens")
    );
    let denied = Error::new(ErrorKind::Denied, "not-granted", "add a line");
    assert_eq!(
        none(denied).unwrap().unusable.as_deref(),
        Some("add a line")
    );
    assert!(none(Error::internal("x", "x")).is_err());
    for (status, body) in [(200, &b"<html>"[..]), (404, b"page not found"), (200, b"7")] {
        let error = read::<Version>(&Answer::new(status, body)).unwrap_err();
        assert!(none(error).unwrap().unusable.is_some());
    }
}
