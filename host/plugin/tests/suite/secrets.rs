//! Limits and secrets of a workload reach its process by way of the host, whatever the plugin says,
//! and secrets only where they are granted.

use std::collections::BTreeMap;

use fleet_capability::Stdin;
use fleet_model::driver::Workload;
use fleet_model::spec::Limits;
use fleet_model::{Error, ErrorKind, Verb};
use serde_json::json;

use crate::shipped::{machine, ready};
use crate::support::guest::{Text, word};
use crate::support::{Guest, Machine, driver, handle, op, plugin, workload, workload_id};

/// One whose environment has a secret, and which names another that is not in it.
fn secretive(config: serde_json::Value) -> Workload {
    let placeholder = |text: &str, name: &str| (text.to_owned(), name.parse().unwrap());
    let mut workload = workload(&["sleep", "1"], config);
    workload
        .env
        .insert("DB".to_owned(), "postgres://app:<<1>>@db".to_owned());
    workload.secrets = BTreeMap::from([
        placeholder("<<1>>", "db-password"),
        placeholder("<<2>>", "api-key"),
    ]);
    workload.limits = Limits {
        memory: Some("64MiB".parse().unwrap()),
        processes: Some(7),
        ..Limits::default()
    };
    workload
}

#[tokio::test]
async fn a_process_gets_the_workloads_limits_and_the_secrets_in_its_environment() {
    let machine = machine("");
    let host = machine.host().await;
    let native = driver(&host, "native");
    let workload = secretive(json!({"stdin": "null"}));
    ready(native.as_ref(), &workload).await;
    let request = machine.processes.requests.lock().unwrap()[0].clone();
    assert_eq!(request.limits, workload.limits);
    assert_eq!(
        request.secrets,
        BTreeMap::from([("<<1>>".to_owned(), "db-password".parse().unwrap())])
    );
    assert_eq!(request.env["DB"], workload.env["DB"]);
    assert_eq!(request.stdin, Stdin::Null);
    let shown = plugin(&host, "native.wasm");
    let secrets = shown
        .capabilities
        .iter()
        .find(|capability| capability.name == "secret *")
        .unwrap();
    assert_eq!(
        (secrets.effective, secrets.granted.as_deref()),
        (true, Some("secrets = [\"*\"]"))
    );
}

async fn refused(machine: &Machine) -> Error {
    let host = machine.host().await;
    let error = driver(&host, "native")
        .create(&op(Verb::Create), &secretive(json!({})))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(machine.processes.requests.lock().unwrap().is_empty());
    let counted = ("native".parse().unwrap(), "secret *".to_owned());
    assert_eq!(host.refusals()[&counted], 1);
    error
}

#[tokio::test]
async fn a_secret_that_is_not_granted_is_refused_before_anything_is_made() {
    let mut machine = machine("");
    machine.grants = machine.grants.replace("secrets = [\"*\"]", "");
    let error = refused(&machine).await;
    let line = "secrets = [\"db-password\"]   # in the table [native]";
    assert_eq!(error.code, "not-granted");
    assert!(error.message.contains(line), "{error}");
    let file = machine.grants_path().display().to_string();
    assert!(error.message.contains(&file), "{error}");

    // The line it names is the one it takes.
    machine.grants = machine
        .grants
        .replace("[native]\n", &format!("[native]\n{line}\n"));
    let host = machine.host().await;
    ready(driver(&host, "native").as_ref(), &secretive(json!({}))).await;
}

#[tokio::test]
async fn a_secret_that_the_host_puts_into_a_file_needs_the_same_grant() {
    let mut machine = machine("");
    machine.grants = machine
        .grants
        .replace("secrets = [\"*\"]", "secrets = [\"api-key\"]");
    let host = machine.host().await;
    let native = driver(&host, "native");
    let check = |names: &[&str]| {
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        native.check_secrets(&op(Verb::Create), &names)
    };
    check(&[]).unwrap();
    check(&["api-key"]).unwrap();
    let error = check(&["api-key", "db-password"]).unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Denied, "not-granted")
    );
    let file = machine.grants_path().display().to_string();
    assert!(error.message.contains("db-password") && error.message.contains(&file));
    let counted = ("native".parse().unwrap(), "secret *".to_owned());
    assert_eq!(host.refusals()[&counted], 1);
}

#[tokio::test]
async fn no_grant_exceeds_the_ceiling() {
    let mut machine = machine("");
    machine.ceiling = Some("secrets = [\"api-key\"]".to_owned());
    assert_eq!(refused(&machine).await.code, "above-ceiling");
}

/// A guest that prepares a process in `start`, and answers with the refusal.
fn late() -> Guest {
    let mut guest = Guest::new("late");
    let launcher = guest.text("dev");
    let id = guest.text(&workload_id().to_string());
    let program = guest.text("true");
    // The op as it was given (id, item, generation, attempt, verb, call), then the request.
    let mut body = String::new();
    for (field, local) in [
        (704, 0),
        (708, 1),
        (712, 2),
        (716, 3),
        (736, 6),
        (740, 7),
        (744, 8),
        (748, 9),
    ] {
        body += &format!("i32.const {field} local.get {local} i32.store ");
    }
    body += "i32.const 720 local.get 4 i64.store i32.const 728 local.get 5 i64.store ";
    body += &launcher.into(752);
    body += &id.into(760);
    body += &program.into(992);
    body += &Text { at: 992, length: 1 }.into(768);
    body += "i32.const 704 i32.const 800 call $process.prepare ";
    // Trap unless it is refused; then the error's kind, code and message.
    body += "i32.const 800 i32.load8_u i32.eqz if unreachable end ";
    body += &word(512, 1);
    body += "i32.const 516 i32.const 808 i32.load8_u i32.store8 ";
    for (from, to) in [(812, 520), (816, 524), (820, 528), (824, 532)] {
        body += &format!("i32.const {to} i32.const {from} i32.load i32.store ");
    }
    guest.with("start", &format!("{body} i32.const 512"))
}

#[tokio::test]
async fn what_is_prepared_without_a_workload_has_no_limits_and_is_refused() {
    let mut machine = Machine::new();
    let asks = "[capabilities]\nprocess = { launchers = [\"dev\"] }";
    machine.plugin(&late(), asks);
    machine.grants = "[late.process.launchers.dev]\nany = true".to_owned();
    let host = machine.host().await;
    let error = driver(&host, "late")
        .start(&op(Verb::Start), &handle())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Denied, "outside-of-create"),
        "{error}"
    );
    assert!(machine.processes.requests.lock().unwrap().is_empty());
}
