//! A program gets the values of its secrets; nothing else does, and no file ever holds one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fleet_capability::secret::no_secret;
use fleet_capability::{NoSecrets, OutputOptions, ProcessState, Request, SecretValue, Secrets};
use fleet_model::{Error, ErrorKind, Name};

use crate::harness::{Host, request, shim_of, stdout};

const CANARY: &[u8] = b"c4n4ry-\xff\xfe-\"in\\ value";

struct Fixed(BTreeMap<Name, Vec<u8>>);

impl Fixed {
    fn new(values: &[(&str, &[u8])]) -> Arc<Self> {
        let owned = |(name, value): &(&str, &[u8])| (name.parse().unwrap(), value.to_vec());
        Arc::new(Self(values.iter().map(owned).collect()))
    }
}

#[async_trait]
impl Secrets for Fixed {
    async fn values(&self, names: &BTreeSet<Name>) -> Result<BTreeMap<Name, SecretValue>, Error> {
        names
            .iter()
            .map(|name| {
                let value = self.0.get(name).ok_or_else(|| no_secret(name))?;
                Ok((name.clone(), SecretValue::new(value.clone())))
            })
            .collect()
    }
}

/// Never answers.
struct Silent;

#[async_trait]
impl Secrets for Silent {
    async fn values(&self, _: &BTreeSet<Name>) -> Result<BTreeMap<Name, SecretValue>, Error> {
        std::future::pending().await
    }
}

fn with_secret(script: &str) -> Request {
    let mut request = request(&["sh", "-c", script]);
    request.env = BTreeMap::from([
        ("TOKEN".into(), "{{fleet-secret:token}}".into()),
        (
            "URL".into(),
            "http://me:{{fleet-secret:token}}@host/".into(),
        ),
        ("PLAIN".into(), "as it is".into()),
    ]);
    request.secrets = BTreeMap::from([("{{fleet-secret:token}}".into(), "token".parse().unwrap())]);
    request
}

/// Every file below a folder that holds these bytes.
fn holding(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            found.extend(holding(&path, bytes));
        } else if kind.is_file() && contains(&fs::read(&path).unwrap(), bytes) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn contains(text: &[u8], bytes: &[u8]) -> bool {
    text.windows(bytes.len()).any(|window| window == bytes)
}

#[tokio::test]
async fn a_program_gets_the_value_and_no_file_does() {
    let folder = Host::new();
    let host = folder.knowing(Fixed::new(&[("token", CANARY)]));
    let script = "printf %s \"$TOKEN\" | wc -c; printf %s \"$URL\" | wc -c; echo \"$PLAIN\"; \
        echo ready > ready; read line < go";
    let run = host.prepared(with_secret(script)).await;
    let fifo = run.workspace().join("go");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let pid = run.start().await.pid.unwrap();
    run.file("ready").await;

    let environ = |pid: u32| fs::read(format!("/proc/{pid}/environ")).unwrap();
    let token = [b"TOKEN=".as_slice(), CANARY, b"\0"].concat();
    let url = [b"URL=http://me:".as_slice(), CANARY, b"@host/\0"].concat();
    assert!(contains(&environ(pid), &token) && contains(&environ(pid), &url));
    let shim = shim_of(&run);
    assert!(!contains(&environ(shim), CANARY));
    assert!(!contains(
        &fs::read(format!("/proc/{shim}/cmdline")).unwrap(),
        CANARY
    ));
    let request = fs::read_to_string(run.slot().join("request.json")).unwrap();
    assert!(request.contains("{{fleet-secret:token}}"));
    // Any part of it in any form it travels in: as it is, and in base64.
    for part in [b"c4n4ry".as_slice(), b"YzRuNHJ5"] {
        assert_eq!(holding(host.folder.path(), part), [""; 0]);
    }
    fs::write(&fifo, "go\n").unwrap();
    assert_eq!(run.exit().await.code, 0);
    let url_bytes = "http://me:@host/".len() + CANARY.len();
    let said = stdout(&run.output(OutputOptions::default()).await);
    assert_eq!(said, format!("{}\n{url_bytes}\nas it is\n", CANARY.len()));
    for part in [b"c4n4ry".as_slice(), b"YzRuNHJ5"] {
        assert_eq!(holding(host.folder.path(), part), [""; 0]);
    }
}

#[tokio::test]
async fn a_start_that_was_made_needs_no_secrets_again() {
    let folder = Host::new();
    let host = folder.knowing(Fixed::new(&[("token", b"value")]));
    let run = host
        .prepared(with_secret("echo $$ >> effects; sleep 72"))
        .await;
    let first = run.start().await;
    for without in [
        folder.knowing(Arc::new(NoSecrets)),
        folder.knowing(Arc::new(Silent)),
    ] {
        assert_eq!(without.find(&run).start().await, first);
    }
    assert_eq!(run.file("effects").await.lines().count(), 1);
}

#[tokio::test]
async fn without_its_secret_nothing_is_started_until_it_is_there() {
    let folder = Host::new();
    let host = folder.knowing(Fixed::new(&[]));
    let run = host.prepared(with_secret("exit 3")).await;
    let error = run.try_start().await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::NotFound, "no-secret")
    );
    for (value, code) in [
        (b"zero\0byte".to_vec(), "bad-secret"),
        (vec![b'x'; 200_000], "bad-environment"),
    ] {
        let host = folder.knowing(Fixed::new(&[("token", &value)]));
        let error = host.find(&run).try_start().await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Invalid, code)
        );
        assert!(!error.message.contains("zero\0"), "{error}");
    }
    assert_eq!(run.inspect().await.state, ProcessState::Prepared);
    let host = folder.knowing(Fixed::new(&[("token", b"x")]));
    assert_eq!(host.find(&run).run().await.code, 3);
}

#[tokio::test]
async fn secrets_that_do_not_come_hold_nobody_up_for_long() {
    let folder = Host::new();
    let host = folder.knowing(Arc::new(Silent));
    let run = host.prepared(with_secret("exit 3")).await;
    let begun = Instant::now();
    let error = run.try_start().await.unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "less than a plugin's call may take"
    );
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Deadline, "secrets-slow")
    );
    assert!(error.retry_after_ms.is_some());
    assert_eq!(run.inspect().await.state, ProcessState::Prepared);
}
