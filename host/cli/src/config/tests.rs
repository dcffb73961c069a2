use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::{Table, Value};

use super::key::KEYS;
use super::layers::{Loaded, Source};
use super::reference::{REFERENCE, uncommented};
use super::settings::Document;
use super::{Role, load};
use crate::environment::Environment;
use crate::failure::Failure;

fn source(loaded: &Loaded, key: &str) -> Source {
    loaded
        .values
        .iter()
        .find(|(path, ..)| *path == key)
        .unwrap()
        .2
        .clone()
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet-host.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn the_reference_holds_with_every_key_in_force_and_names_all_of_them() {
    let (_folder, path) = file(&uncommented());
    let loaded = load(Some(&path), &Vec::new(), &Environment::default()).unwrap();
    for (key, value, source) in &loaded.values {
        assert_eq!(
            *source,
            Source::File(path.clone()),
            "{key} is not in the reference"
        );
        assert!(value.is_some(), "{key}");
    }
    for key in KEYS {
        assert!(
            REFERENCE.contains(&format!("# Environment: {}", key.variable())),
            "{}",
            key.variable()
        );
    }
    // And as it is, with every key a comment, it changes nothing.
    let (_folder, path) = file(REFERENCE);
    let environment = Environment::of([("FLEET_DATA", "/d")]);
    let loaded = load(Some(&path), &Vec::new(), &environment).unwrap();
    let changed: Vec<_> = loaded
        .values
        .iter()
        .filter(|(.., source)| matches!(source, Source::File(_)))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn the_defaults_in_the_reference_are_the_defaults() {
    let table: Table = toml::from_str(&uncommented()).unwrap();
    let loaded = load(None, &Vec::new(), &Environment::of([("FLEET_DATA", "/d")])).unwrap();
    for (path, value, source) in &loaded.values {
        // What depends on the machine is an example there.
        if *source == Source::Default
            && !matches!(
                *path,
                "grants" | "policy_trace" | "cache" | "plugins.dir" | "ceiling"
            )
        {
            let key = KEYS.into_iter().find(|key| key.path == *path).unwrap();
            assert_eq!(value.as_ref(), key.of(&table), "{path}");
        }
    }
}

/// What serde would have taken, out of its own words.
fn accepted(table: &str) -> BTreeSet<String> {
    let unknown = Value::Table(Table::from_iter([("?".to_owned(), Value::Boolean(true))]));
    let document = if table.is_empty() {
        unknown
    } else {
        Value::Table(Table::from_iter([(table.to_owned(), unknown)]))
    };
    let error = Document::deserialize(document)
        .unwrap_err()
        .message()
        .to_owned();
    let expected = error
        .split("expected one of")
        .nth(1)
        .or(error.split("expected ").nth(1))
        .unwrap();
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_list_of_keys_is_complete() {
    let mut known = accepted("");
    for table in ["plugins", "swap", "log"] {
        assert!(known.remove(table));
        known.extend(
            accepted(table)
                .into_iter()
                .map(|key| format!("{table}.{key}")),
        );
    }
    let listed: BTreeSet<String> = KEYS.into_iter().map(|key| key.path.to_owned()).collect();
    assert_eq!(known, listed);
}

#[test]
fn every_variable_works() {
    for (variable, value) in [
        ("FLEET_ROLE", "all"),
        ("FLEET_DATA", "/e"),
        ("FLEET_LISTEN", "127.0.0.1:1"),
        ("FLEET_GRANTS", "/g"),
        ("FLEET_CACHE", "/c"),
        ("FLEET_HEARTBEAT", "2s"),
        ("FLEET_PLUGINS_DIR", "/p"),
        ("FLEET_PLUGINS_REQUIRED", "native, docker"),
        ("FLEET_PLUGINS_SETTINGS", r#"{"docker": {"depth": 1}}"#),
        ("FLEET_SWAP_PROBATION", "2m"),
        ("FLEET_SWAP_FAILURES", "0"),
        ("FLEET_SWAP_DRAIN", "1s"),
        ("FLEET_SWAP_SETTLE", "50ms"),
        ("FLEET_SWAP_RESCAN", "5s"),
        (
            "FLEET_SWAP_PLUGINS",
            r#"{"docker": {"probation": "5m", "failures": 1}}"#,
        ),
        ("FLEET_CEILING", r#"{"process": {"launchers": ["dev"]}}"#),
        ("FLEET_LOG_LEVEL", "info,fleet_node=debug"),
        ("FLEET_LOG_FORMAT", "json"),
    ] {
        let loaded = load(
            None,
            &Vec::new(),
            &Environment::of([(variable, value), ("HOME", "/h")]),
        )
        .unwrap();
        let from: Vec<_> = loaded
            .values
            .iter()
            .filter(|(.., source)| *source == Source::Variable(variable.into()))
            .collect();
        assert_eq!(from.len(), 1, "{variable}");
    }
    let environment = Environment::of([
        ("FLEET_DATA", "/e"),
        ("FLEET_PLUGINS_REQUIRED", "native, docker"),
        ("FLEET_PLUGINS_SETTINGS", r#"{"docker": {"depth": 1}}"#),
        ("FLEET_HEARTBEAT", "2s"),
    ]);
    let settings = load(None, &Vec::new(), &environment).unwrap().settings;
    assert_eq!(settings.data, Path::new("/e"));
    assert_eq!(
        settings.required,
        ["native".parse().unwrap(), "docker".parse().unwrap()]
    );
    assert_eq!(
        settings.plugin_settings[&"docker".parse().unwrap()]["depth"],
        1
    );
    assert_eq!(settings.heartbeat.as_secs(), 2);
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let (_folder, path) = file(
        "listen = \"127.0.0.1:1\"\nheartbeat = \"1s\"\ngrants = \"g.toml\"\n[plugins]\ndir = \"p\"\n",
    );
    let environment = Environment::of([
        ("FLEET_LISTEN", "127.0.0.1:2"),
        ("FLEET_HEARTBEAT", "2s"),
        ("FLEET_DATA", "/d"),
    ]);
    let flags = vec![("listen", "--listen", "127.0.0.1:3".to_owned())];
    let loaded = load(Some(&path), &flags, &environment).unwrap();
    assert_eq!(loaded.settings.listen.port(), 3);
    assert_eq!(source(&loaded, "listen"), Source::Flag("--listen"));
    assert_eq!(
        source(&loaded, "heartbeat"),
        Source::Variable("FLEET_HEARTBEAT".into())
    );
    assert_eq!(source(&loaded, "plugins.dir"), Source::File(path.clone()));
    assert_eq!(source(&loaded, "role"), Source::Default);
    assert_eq!(loaded.settings.role, Role::All);
    // Paths in the file are relative to it.
    assert_eq!(
        loaded.settings.plugins.as_deref(),
        Some(path.with_file_name("p").as_path())
    );
    assert_eq!(
        loaded.settings.grants.as_deref(),
        Some(path.with_file_name("g.toml").as_path())
    );
}

#[test]
fn the_file_in_the_data_folder_is_found_and_cannot_name_another() {
    let (folder, _) = file("heartbeat = \"1s\"");
    let data = folder.path().display().to_string();
    let flags = vec![("data", "--data", data)];
    let loaded = load(None, &flags, &Environment::default()).unwrap();
    assert_eq!(loaded.settings.heartbeat.as_secs(), 1);
    let (folder, _) = file("data = \"/elsewhere\"");
    let data = folder.path().display().to_string();
    // Whoever says again where it is has the last word.
    load(
        None,
        &Vec::new(),
        &Environment::of([("FLEET_DATA", data.as_str())]),
    )
    .unwrap();
    let xdg = tempfile::tempdir().unwrap();
    let default = xdg.path().join("fleet-host");
    std::fs::create_dir(&default).unwrap();
    std::fs::write(default.join("fleet-host.toml"), "data = \"/elsewhere\"").unwrap();
    if !rustix::process::geteuid().is_root() {
        let xdg = xdg.path().display().to_string();
        let failure = load(
            None,
            &Vec::new(),
            &Environment::of([("XDG_DATA_HOME", xdg.as_str())]),
        )
        .unwrap_err();
        assert!(
            failure.message.contains("names another: /elsewhere"),
            "{failure:?}"
        );
    }
}

fn mistake(text: &str) -> Failure {
    let (_folder, path) = file(text);
    let mut failure = load(Some(&path), &Vec::new(), &Environment::default()).unwrap_err();
    failure.message = failure
        .message
        .replace(&format!("{}/", path.parent().unwrap().display()), "");
    failure
}

#[test]
fn a_mistake_in_the_file_names_line_and_column_and_what_was_meant() {
    let failure = mistake("role = \"all\"\nlitsen = \"127.0.0.1:1\"\n");
    assert_eq!(failure.message, "fleet-host.toml:2:1: unknown key `litsen`");
    assert!(failure.help.unwrap().starts_with("did you mean `listen`?"));
    let failure = mistake("[plugins]\nrequird = []\n");
    assert_eq!(
        failure.message,
        "fleet-host.toml:2:1: unknown key `requird`"
    );
    for (text, want) in [
        (
            "listen = \"7300\"",
            "fleet-host.toml:1:10: `7300` is not an address to listen on: expected ADDRESS:PORT",
        ),
        ("heartbeat = 5", "fleet-host.toml:1:13: "),
        ("heartbeat = \"soon\"", "`soon` is not a duration"),
        (
            "[swap]\nprobatoin = \"1s\"",
            "fleet-host.toml:2:1: unknown key `probatoin`",
        ),
        ("[swap]\nfailures = -1", "fleet-host.toml:2:12: "),
        ("[swap.plugins.mock]\ndrain = \"1s\"", "unknown key `drain`"),
        (
            "[log]\nlevel = \"loud\"",
            "fleet-host.toml:2:9: `loud` is not a log level: expected off",
        ),
        (
            "[ceiling]\nlogs = true",
            "fleet-host.toml:2:1: unknown key `logs`",
        ),
        ("role = \"al\"", "fleet-host.toml:1:8: unknown value `al`"),
    ] {
        let failure = mistake(text);
        assert!(failure.message.contains(want), "{}", failure.message);
    }
}

#[test]
fn a_mistake_in_a_variable_or_flag_names_it() {
    let failure = load(
        None,
        &Vec::new(),
        &Environment::of([("FLEET_LISTEN", "x"), ("HOME", "/h")]),
    )
    .unwrap_err();
    assert!(
        failure
            .message
            .starts_with("FLEET_LISTEN: `x` is not an address"),
        "{failure:?}"
    );
    let failure = load(
        None,
        &Vec::new(),
        &Environment::of([("FLEET_CEILING", "x"), ("HOME", "/h")]),
    )
    .unwrap_err();
    assert!(
        failure
            .message
            .starts_with("FLEET_CEILING: expected a JSON object"),
        "{failure:?}"
    );
    let flags = vec![("listen", "--listen", "y".to_owned())];
    let failure = load(None, &flags, &Environment::of([("HOME", "/h")])).unwrap_err();
    assert!(
        failure
            .message
            .starts_with("--listen: `y` is not an address"),
        "{failure:?}"
    );
}
