//! The value of a secret that a guest says, in whatever way, is neither logged nor stored nor
//! returned.

use std::io::Write;
use std::sync::{Arc, Mutex};

use fleet_model::driver::{Creation, RunState};
use fleet_model::{ErrorKind, Verb};
use futures::StreamExt;
use serde_json::json;
use tracing::Level;
use tracing::subscriber::DefaultGuard;

use crate::shipped::{machine, ready};
use crate::support::guest::{LOST, word};
use crate::support::{Guest, Machine, driver, handle, item, op, plugin, rejection, workload};

/// The value; long enough that nothing else says it.
const CANARY: &str = "canary-hunter22";

/// All that the host logs, debugging included.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// From now on, on this thread, on which a test's runtime has all its tasks.
    fn begin(&self) -> DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Says it in every call, each time in another place of the answer.
fn teller() -> Guest {
    let mut guest = Guest::new("teller");
    let canary = guest.text(CANARY);
    let pair = guest.pair_of(canary, canary);
    let log = format!(
        "i32.const 3 i32.const {} i32.const {} call $log.write ",
        canary.at, canary.length
    );
    let fingerprint = word(516, 1) + &canary.into(520) + &pair.into(528) + "i32.const 512";
    let pending = "i32.const 520 i32.const 1 i32.store8 ".to_owned()
        + &canary.into(528)
        + &word(560, 20)
        + "i32.const 512";
    let fails = log
        + &word(512, 1)
        + "i32.const 516 i32.const 5 i32.store8 "
        + &canary.into(520)
        + &canary.into(528)
        + &pair.into(544)
        + "i32.const 512";
    let lost = format!(
        "i32.const {} local.set $at i32.const {} local.set $length {} {LOST}",
        canary.at,
        canary.length,
        pair.into(576)
    );
    guest
        .describing(pair)
        .with("fingerprint", &fingerprint)
        .with("create", &pending)
        .with("start", &fails)
        .with("inspect", &lost)
}

#[tokio::test]
async fn a_value_comes_through_in_none_of_a_backends_answers() {
    let log = Log::default();
    let _guard = log.begin();
    let mut machine = Machine::new();
    machine.secret(CANARY);
    machine.plugin(&teller(), "[capabilities]\nlog = true");
    machine.grants = "[teller]\nlog = true".to_owned();
    let host = machine.host().await;

    let shown = plugin(&host, "teller.wasm");
    assert_eq!(shown.reason.as_deref(), Some("***"), "it is not usable");
    assert_eq!(shown.attributes["***"], "***");
    let teller = driver(&host, "teller");
    assert_eq!(teller.description().attributes["***"], "***");

    let created = teller
        .create(&op(Verb::Create), &workload(&[], json!({})))
        .await
        .unwrap();
    assert!(
        matches!(&created, Creation::Pending { message, .. } if message == "***"),
        "{created:?}"
    );
    let error = teller.start(&op(Verb::Start), &handle()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str(), error.message.as_str()),
        (ErrorKind::Unavailable, "plugin-error", "***")
    );
    assert_eq!(error.details["***"], "***");
    let seen = teller.inspect(&item(), &handle()).await.unwrap();
    assert_eq!(
        seen.state,
        RunState::Lost {
            reason: "***".to_owned()
        }
    );
    assert_eq!(seen.attributes["***"], "***");

    let log = log.text();
    assert!(log.contains("plugin: ***"), "the line was written: {log}");
    assert!(!log.contains("hunter22"), "{log}");
}

#[tokio::test]
async fn a_trap_says_its_panic_its_stderr_and_its_functions_without_the_value() {
    let log = Log::default();
    let _guard = log.begin();
    let machine = machine("");
    machine.plugin(&Guest::new("named").with("start", "unreachable"), "");
    let host = machine.host().await;
    // The name of a function on the guest's stack.
    machine.secret("start");
    let named = driver(&host, "named");
    let error = named
        .start(&op(Verb::Start), &self::handle())
        .await
        .unwrap_err();
    assert_eq!(error.details["backtrace"], "***");

    let mock = driver(&host, "mock");
    let plan = json!({"fault": "trap", "fault_in": "start"});
    let handle = ready(mock.as_ref(), &workload(&[], plan)).await;
    machine.secret("planned fault");
    let before = log.text().len();
    let error = mock.start(&op(Verb::Start), &handle).await.unwrap_err();
    assert_eq!(error.code, "trap");
    assert!(error.message.contains(": *** in Start; "), "{error}");
    assert!(
        error.details["stderr"].contains("*** in Start"),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("planned"), "{error:?}");
    // It was logged, without its words.
    let log = log.text()[before..].to_owned();
    assert!(log.contains("*** in Start"), "{log}");
    assert!(!log.contains("planned fault"), "{log}");
}

#[tokio::test]
async fn lines_that_a_plugin_brings_and_names_it_makes_up_are_cleaned_too() {
    let log = Log::default();
    let _guard = log.begin();
    let machine = machine("");
    machine.secret(CANARY);
    let host = machine.host().await;
    let mock = driver(&host, "mock");
    let plan = json!({"run_ms": 0, "output": [format!("say {CANARY}")]});
    let handle = ready(mock.as_ref(), &workload(&[], plan)).await;
    let handle = mock.start(&op(Verb::Start), &handle).await.unwrap();
    let source = mock.logs(&item(), &handle, &Default::default()).await;
    let frames: Vec<_> = source.unwrap().output.collect().await;
    assert_eq!(frames[0].as_ref().unwrap().bytes, "say ***");

    // A launcher by that name: the refusal, its remedy and the audit line.
    let native = driver(&host, "native");
    let workload = workload(&["true"], json!({"launcher": CANARY}));
    let error = native
        .create(&op(Verb::Create), &workload)
        .await
        .unwrap_err();
    assert_eq!(error.code, "not-granted");
    assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    assert!(!format!("{:?}", host.refusals()).contains(CANARY));
    let log = log.text();
    assert!(log.contains("process.launcher ***"), "{log}");
    assert!(!log.contains(CANARY), "{log}");
}

#[tokio::test]
async fn the_reason_of_a_rejection_is_cleaned() {
    let machine = Machine::new();
    machine.secret(CANARY);
    machine.file("other.wasm", Guest::new(CANARY).component());
    machine.file("other.toml", Guest::new("other").manifest(""));
    let host = machine.host().await;
    let reason = rejection(&host, "other.wasm");
    assert!(reason.contains("says name `***`"), "{reason}");
}
