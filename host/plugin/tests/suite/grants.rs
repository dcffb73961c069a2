//! What a plugin may do: a refusal is an error with its remedy, never a trap.

use crate::support::{Guest, Machine, driver, handle, item, plugin};
use fleet_model::driver::RunState;
use fleet_model::plugin::PluginState;
use fleet_plugin::Drivers;

async fn told(machine: &Machine) -> String {
    let host = machine.host().await;
    match driver(&host, "teller")
        .inspect(&item(), &handle())
        .await
        .unwrap()
        .state
    {
        RunState::Lost { reason } => reason,
        other => panic!("{other:?}"),
    }
}

const MANIFEST: &str = "
[capabilities]
config = true
[settings]
depth = 1
name = \"x\"
[settings-schema.properties.depth]
type = \"integer\"
";

#[tokio::test]
async fn settings_are_the_defaults_under_the_operators() {
    let mut machine = Machine::new();
    machine.plugin(&Guest::new("teller").telling_settings(), MANIFEST);
    machine.grants = "[teller]\nconfig = true".to_owned();
    assert_eq!(told(&machine).await, r#"{"depth":1,"name":"x"}"#);
    machine
        .settings
        .insert("teller".parse().unwrap(), serde_json::json!({"depth": 7}));
    assert_eq!(told(&machine).await, r#"{"depth":7,"name":"x"}"#);
}

#[tokio::test]
async fn a_refused_call_names_file_and_line_and_is_counted() {
    let mut machine = Machine::new();
    machine.plugin(&Guest::new("teller").telling_settings(), MANIFEST);
    let message = told(&machine).await;
    let file = machine.grants_path().display().to_string();
    assert!(
        message.contains(&format!("add to {file}\n[teller]\nconfig = true")),
        "{message}"
    );

    let host = machine.host().await;
    let shown = plugin(&host, "teller.wasm");
    assert_eq!(
        shown.state,
        PluginState::Active,
        "a missing grant does not reject a plugin"
    );
    let capability = &shown.capabilities[0];
    assert_eq!(
        (
            capability.name.as_str(),
            capability.requested,
            capability.effective
        ),
        ("config", true, false)
    );
    assert_eq!(host.refusals(), Default::default());
    let _ = driver(&host, "teller").inspect(&item(), &handle()).await;
    assert_eq!(
        host.refusals()[&("teller".parse().unwrap(), "config".to_owned())],
        1
    );

    // The lines it names are the ones it takes.
    machine.grants = "[teller]\nconfig = true".to_owned();
    assert!(told(&machine).await.starts_with('{'));
}

#[tokio::test]
async fn what_the_manifest_does_not_ask_for_is_not_given() {
    let mut machine = Machine::new();
    machine.plugin(&Guest::new("teller").telling_settings(), "");
    machine.grants = "[teller]\nconfig = true".to_owned();
    let message = told(&machine).await;
    assert!(
        message.contains("teller.toml") && message.contains("[capabilities]"),
        "{message}"
    );
}

#[tokio::test]
async fn describe_runs_without_any_grant() {
    let mut machine = Machine::new();
    // Traps unless the import refuses.
    let body = "i32.const 640 call $config.get i32.const 640 i32.load8_u i32.eqz if unreachable end i32.const 1024";
    machine.plugin(
        &Guest::new("curious").with("describe", body),
        "[capabilities]\nconfig = true",
    );
    machine.grants = "[curious]\nconfig = true".to_owned();
    let host = machine.host().await;
    assert_eq!(plugin(&host, "curious.wasm").state, PluginState::Active);
    assert!(host.plugins()[0].capabilities[0].effective);
}
