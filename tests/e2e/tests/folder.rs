//! A plugin folder with bad files in it, and what a plugin may and may not do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use fleet_e2e::{Host, HostOptions, plugins};

fn copy_plugin(name: &str, to: &std::path::Path, stem: &str) {
    std::fs::copy(
        plugins().join(format!("{name}.wasm")),
        to.join(format!("{stem}.wasm")),
    )
    .unwrap();
    std::fs::copy(
        plugins().join(format!("{name}.toml")),
        to.join(format!("{stem}.toml")),
    )
    .unwrap();
}

#[test]
fn bad_files_are_named_with_their_reason_and_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let manifest =
        |name: &str| format!("name = \"{name}\"\nkind = \"backend\"\nversion = \"0.1.0\"\n");
    copy_plugin("native", folder.path(), "native");
    std::fs::write(at("garbage.wasm"), "not wasm at all").unwrap();
    std::fs::write(at("garbage.toml"), manifest("garbage")).unwrap();
    // The smallest core module: the magic and version 1.
    std::fs::write(at("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    std::fs::write(at("core.toml"), manifest("core")).unwrap();
    // The smallest component, of a world with nothing in it.
    std::fs::write(at("empty.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    std::fs::write(at("empty.toml"), manifest("empty")).unwrap();
    std::fs::write(at("alone.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    copy_plugin("mock", folder.path(), "mock");
    copy_plugin("mock", folder.path(), "twin");

    let host = Host::start_with(HostOptions {
        plugins: Some(folder.path().to_owned()),
        ..HostOptions::default()
    });
    let listed = host.cli(["plugin", "ls", "--output", "json"]).ok().json();
    let items = listed["items"].as_array().unwrap();
    let by_file = |file: &str| {
        items
            .iter()
            .find(|item| item["file"] == file)
            .unwrap_or_else(|| panic!("{file} is not listed: {listed:#}"))
    };
    assert_eq!(by_file("native.wasm")["state"], "active");
    for (file, words) in [
        ("garbage.wasm", &["not"][..]),
        ("core.wasm", &["core module", "component"]),
        ("empty.wasm", &["fleet:backend/driver"]),
        ("alone.wasm", &["alone.toml"]),
        ("mock.wasm", &["mock.wasm", "twin.wasm"]),
        ("twin.wasm", &["mock.wasm", "twin.wasm"]),
    ] {
        let plugin = by_file(file);
        assert_eq!(plugin["state"], "rejected", "{plugin:#}");
        let reason = plugin["reason"].as_str().unwrap();
        assert!(
            words.iter().all(|word| reason.contains(word)),
            "{file}: {reason}"
        );
    }
    // The rest is served, and people see the same.
    host.cli(["workload", "run", "--wait", "--", "true"]).ok();
    let table = host.cli(["plugin", "ls"]).ok().stdout;
    assert!(
        table.contains("core module") && table.contains("active"),
        "{table}"
    );
    let refused = host.cli(["workload", "run", "--backend", "mock", "--", "x"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused.stderr.contains("twin.wasm"),
        "it says why the backend is not there: {refused:?}"
    );
}

#[test]
fn effective_rights_are_shown_and_a_refusal_names_the_line_to_add() {
    let grants = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        grants.path(),
        "[native]\nlog = true\n[native.process.launchers.dev]\nexecutable = \"/bin/true\"\n",
    )
    .unwrap();
    let args = ["--grants".into(), grants.path().as_os_str().to_owned()].to_vec();
    let host = Host::start_with(HostOptions {
        args,
        ..HostOptions::default()
    });
    let shown = host
        .cli(["plugin", "show", "native", "--effective"])
        .ok()
        .stdout;
    for word in ["dev", "/bin/true", "log"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    host.cli(["workload", "run", "--wait", "--", "/bin/true"])
        .ok();
    let refused = host.cli([
        "workload",
        "run",
        "--name",
        "no",
        "--wait",
        "--",
        "/bin/sleep",
        "1",
    ]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("/bin/sleep"), "{refused:?}");
    assert!(
        refused.stderr.contains("[native.process.launchers."),
        "the line to add: {refused:?}"
    );
    assert!(
        refused.stderr.contains(grants.path().to_str().unwrap()),
        "the file to add it to: {refused:?}"
    );
    assert_eq!(host.show("no")["error"]["kind"], "denied");
}

#[test]
fn a_plugin_we_did_not_ship_gets_nothing_until_a_line_is_written() {
    let folder = tempfile::tempdir().unwrap();
    copy_plugin("native", folder.path(), "native");
    // No grant at all, as for any plugin that a folder is given.
    let grants = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(grants.path(), "").unwrap();
    let args = ["--grants".into(), grants.path().as_os_str().to_owned()].to_vec();
    let host = Host::start_with(HostOptions {
        plugins: Some(folder.path().to_owned()),
        args,
        ..HostOptions::default()
    });
    let refused = host.cli(["workload", "run", "--wait", "--", "true"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    let shown = host
        .cli(["plugin", "show", "native", "--effective"])
        .ok()
        .stdout;
    assert!(shown.contains("[native.process.launchers.dev]"), "{shown}");
}
