//! A file's way into use: each reason for a refusal, and what the cache saves.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Guest, Machine, driver, handle, item, op, plugin, rejection};
use fleet_model::Verb;
use fleet_model::plugin::PluginState;
use fleet_plugin::{CompileCommand, Drivers};

#[tokio::test]
async fn a_good_plugin_becomes_active_with_what_it_said() {
    let machine = Machine::new();
    machine.plugin(
        &Guest::new("good"),
        "description = \"Does nothing\"\n[capabilities]\nlog = true",
    );
    let host = machine.host().await;
    let shown = plugin(&host, "good.wasm");
    assert_eq!(
        (shown.state, shown.reason.as_deref(), shown.usable),
        (PluginState::Active, None, true)
    );
    assert_eq!(
        (
            shown.name.as_str(),
            shown.version.as_deref(),
            shown.node.as_str()
        ),
        ("good", Some("0.1.0"), "here")
    );
    assert_eq!(shown.digest.unwrap().len(), 64);
    assert_eq!(shown.config_schema.unwrap()["type"], "object");
    assert_eq!(shown.attributes["description"], "Does nothing");
    assert_eq!(driver(&host, "good").description().reads, [1]);
    let logs = driver(&host, "good")
        .logs(&item(), &handle(), &Default::default())
        .await
        .unwrap_err();
    assert_eq!(logs.code, "no-logs");
    let input = driver(&host, "good")
        .send(&op(Verb::Send), &handle(), "save\n".into())
        .await
        .unwrap_err();
    assert_eq!(
        (input.kind, input.code.as_str()),
        (fleet_model::ErrorKind::Unsupported, "no-input")
    );
    assert!(input.message.contains("`good` 0.1.0"), "{input}");
    for facts in [
        &shown.attributes,
        &driver(&host, "good").description().attributes,
    ] {
        assert_eq!((&*facts["logs"], &*facts["input"]), ("false", "false"));
    }
}

#[tokio::test]
async fn what_a_backend_offers_is_seen_from_its_type_and_not_from_its_words() {
    let machine = Machine::new();
    let mut liar = Guest::new("liar");
    let (input, yes) = (liar.text("input"), liar.text("true"));
    let claim = liar.pair_of(input, yes);
    let found = format!("{} i32.const 512", claim.into(528));
    machine.plugin(&liar.describing(claim).with("fingerprint", &found), "");
    machine.plugin(&Guest::new("honest").with_input(), "");
    let host = machine.host().await;
    for (name, offers) in [("liar", false), ("honest", true)] {
        let shown = plugin(&host, &format!("{name}.wasm"));
        assert_eq!(shown.attributes["input"], offers.to_string(), "{name}");
        let sent = driver(&host, name)
            .send(&op(Verb::Send), &handle(), "save\n".into())
            .await;
        assert_eq!(sent.is_ok(), offers, "{sent:?}");
    }
}

/// Of the same length, so that the component stays one.
fn of_a_later_patch(component: Vec<u8>, interface: &str) -> Vec<u8> {
    let (old, new) = (format!("{interface}@0.1.0"), format!("{interface}@0.1.3"));
    let mut found = 0;
    let mut bytes = component;
    while let Some(at) = bytes.windows(old.len()).position(|it| it == old.as_bytes()) {
        bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
        found += 1;
    }
    assert!(found > 0, "{interface} is nowhere");
    bytes
}

#[tokio::test]
async fn what_a_backend_offers_in_a_later_patch_is_used_as_well() {
    let machine = Machine::new();
    let later = Guest::new("later").with_input();
    machine.file(
        "later.wasm",
        of_a_later_patch(later.component(), "fleet:backend/input"),
    );
    machine.file("later.toml", later.manifest(""));
    let host = machine.host().await;
    let shown = plugin(&host, "later.wasm");
    assert_eq!(shown.state, PluginState::Active, "{:?}", shown.reason);
    assert_eq!(shown.attributes["input"], "true");
    driver(&host, "later")
        .send(&op(Verb::Send), &handle(), "save\n".into())
        .await
        .unwrap();
}

#[tokio::test]
async fn copies_that_no_file_needs_any_more_are_thrown_out_at_the_next_start() {
    let machine = Machine::new();
    machine.plugin(&Guest::new("one"), "");
    machine.plugin(&Guest::new("two"), "");
    machine.host().await;
    // Settled is said when the last file is; the folder is cleared after that.
    assert_eq!(machine.copies().len(), 2);
    fs::remove_file(machine.folder().join("one.wasm")).unwrap();
    fs::remove_file(machine.folder().join("one.toml")).unwrap();
    // A file that goes takes nothing out of service: that is said with its record.
    let host = machine.host().await;
    assert_eq!(plugin(&host, "one.wasm").state, PluginState::Active);
    drop(host);
    fs::remove_file(machine.records().join("one.json")).unwrap();
    let host = machine.host().await;
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while machine.copies().len() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let kept = plugin(&host, "two.wasm").digest.unwrap();
    assert_eq!(machine.copies(), [format!("{kept}.wasm")]);
}

#[tokio::test]
async fn every_bad_file_has_its_reason_and_the_good_one_serves() {
    let machine = Machine::new();
    let good = Guest::new("good");
    machine.plugin(&good, "");

    machine.file("garbage.wasm", "this is no component");
    machine.file("garbage.toml", Guest::new("garbage").manifest(""));
    machine.file("module.wasm", wat::parse_str("(module)").unwrap());
    machine.file("lonely.wasm", good.component());
    machine.file("typo.wasm", good.component());
    machine.file(
        "typo.toml",
        Guest::new("typo").manifest("[capabilities]\nlgo = true"),
    );
    machine.file(
        "world.wasm",
        component("(instance $i) (export \"wasi:http/incoming-handler@0.2.0\" (instance $i))"),
    );
    machine.file("world.toml", Guest::new("world").manifest(""));
    let backend = "(instance $i) (export \"fleet:backend/driver@0.1.0\" (instance $i))";
    machine.file("hollow.wasm", component(backend));
    machine.file("hollow.toml", Guest::new("hollow").manifest(""));
    machine.file(
        "newer.wasm",
        component(&format!(
            "(import \"fleet:host/secret@0.3.0\" (instance)) {backend}"
        )),
    );
    machine.file("newer.toml", Guest::new("newer").manifest(""));
    let mut invalid = good.component();
    let at = invalid
        .windows(4)
        .position(|bytes| bytes == b"\x41\x80\x04\x0b")
        .expect("a body: i32.const 512 end");
    invalid[at..at + 4].copy_from_slice(b"\x42\x80\x04\x0b");
    machine.file("invalid.wasm", invalid);
    machine.file("invalid.toml", Guest::new("invalid").manifest(""));
    machine.plugin(&Guest::new("trap").with("describe", "unreachable"), "");
    machine.plugin(
        &Guest::new("spin").with("describe", "(loop br 0) unreachable"),
        "[limits]\ncpu_ms = 50",
    );
    machine.plugin(
        &Guest {
            schema: "{".into(),
            ..Guest::new("schema")
        },
        "",
    );
    machine.file("other.wasm", Guest::new("someone").component());
    machine.file("other.toml", Guest::new("other").manifest(""));
    machine.plugin(
        &Guest::new("unset"),
        "[settings]\nn = 1\n[settings-schema.properties.n]\ntype = \"string\"",
    );
    machine.plugin(&Guest::new("small"), "[limits]\nmemory_bytes = 65536");
    fs::File::create(machine.folder().join("huge.wasm"))
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    std::os::unix::fs::symlink("/bin/sh", machine.folder().join("link.wasm")).unwrap();

    let host = machine.host().await;
    for (file, wants) in [
        ("garbage.wasm", &["is not WebAssembly"][..]),
        (
            "module.wasm",
            &["core module, not a component", "--target wasm32-wasip2"],
        ),
        (
            "lonely.wasm",
            &["has no manifest", "write lonely.toml", "name = \"lonely\""],
        ),
        (
            "typo.wasm",
            &["typo.toml:5", "`lgo`", "expected one of", "`log`"],
        ),
        (
            "world.wasm",
            &[
                "another world",
                "wasi:http/incoming-handler@0.2.0",
                "expected fleet:backend/driver@0.1.0",
            ],
        ),
        ("hollow.wasm", &["export does not fit", "describe"]),
        (
            "newer.wasm",
            &["fleet:host/secret@0.3.0", "clock, config", "0.1.0"],
        ),
        ("invalid.wasm", &["does not compile", "type mismatch"]),
        (
            "trap.wasm",
            &[
                "`describe` failed",
                "`trap` trapped in `describe`",
                "unreachable",
            ],
        ),
        (
            "spin.wasm",
            &["more than 50 ms of processor time", "`describe`"],
        ),
        ("schema.wasm", &["config schema is not JSON"]),
        ("other.wasm", &["says name `someone`", "`other`"]),
        ("unset.wasm", &["settings", "/n", "unset.toml"]),
        ("huge.wasm", &["larger than 65536 KiB"]),
        (
            "link.wasm",
            &["is a link to", "outside of the plugin folder"],
        ),
    ] {
        let reason = rejection(&host, file);
        assert!(
            wants.iter().all(|want| reason.contains(want)),
            "{file}: {reason}"
        );
        assert!(
            !reason.contains('\n') && reason.len() < 1_000,
            "{file}: {reason}"
        );
    }
    // The exact size of one memory page is enough for one page.
    assert_eq!(plugin(&host, "small.wasm").state, PluginState::Active);
    assert_eq!(plugin(&host, "good.wasm").state, PluginState::Active);
    driver(&host, "good")
        .inspect(&item(), &handle())
        .await
        .unwrap();
    let error = host.driver(&"trap".parse().unwrap()).err().unwrap();
    assert_eq!(error.code, "no-backend");
    assert!(
        error.message.contains("trapped") && error.message.contains("good, small"),
        "{error}"
    );
}

fn component(inside: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {inside})")).unwrap()
}

#[tokio::test]
async fn two_files_of_one_name_are_both_refused() {
    let machine = Machine::new();
    machine.plugin(&Guest::new("twin"), "");
    machine.file("copy.wasm", Guest::new("twin").component());
    machine.file("copy.toml", Guest::new("twin").manifest(""));
    let host = machine.host().await;
    for file in ["twin.wasm", "copy.wasm"] {
        let reason = rejection(&host, file);
        assert!(
            reason.contains("copy.wasm and twin.wasm") && reason.contains("`twin`"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_second_start_compiles_nothing_and_a_corrupt_entry_is_compiled_again() {
    let machine = Machine::new();
    machine.plugin(&Guest::new("one"), "");
    machine.plugin(&Guest::new("two"), "");
    assert_eq!(machine.host().await.compilations(), 2);
    assert_eq!(machine.host().await.compilations(), 0);
    let entries: Vec<_> = fs::read_dir(machine.cache())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(entries.len(), 2, "{entries:?}");
    for path in &entries {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0);
    }
    let mut bytes = fs::read(&entries[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&entries[0], bytes).unwrap();
    let host = machine.host().await;
    assert_eq!(host.compilations(), 1);
    assert!(
        host.plugins()
            .iter()
            .all(|plugin| plugin.state == PluginState::Active)
    );
    assert_eq!(machine.host().await.compilations(), 0);
}

#[tokio::test]
async fn two_hosts_share_one_cache() {
    let machine = Machine::new();
    for name in ["a", "b", "c"] {
        machine.plugin(&Guest::new(name), "");
    }
    let (one, two) = tokio::join!(machine.host(), machine.host());
    for host in [one, two] {
        assert!(
            host.plugins()
                .iter()
                .all(|plugin| plugin.state == PluginState::Active),
            "{:?}",
            host.plugins()
        );
    }
    assert_eq!(machine.host().await.compilations(), 0);
}

#[tokio::test]
async fn a_compiler_that_is_missing_or_fails_is_a_reason() {
    let mut machine = Machine::new();
    machine.plugin(&Guest::new("good"), "");
    machine.compile = CompileCommand {
        program: "/nonexistent/compiler".into(),
        args: Vec::new(),
    };
    assert!(
        rejection(machine.host().await.as_ref(), "good.wasm").contains("cannot start the compiler")
    );
    let mut machine = Machine::new();
    machine.plugin(&Guest::new("good"), "");
    let script = "echo 'memory allocation of 1 bytes failed' >&2; kill -ABRT $$";
    machine.compile = CompileCommand {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
    };
    let reason = rejection(machine.host().await.as_ref(), "good.wasm");
    assert!(reason.contains("MiB of memory"), "{reason}");
}

#[tokio::test]
async fn verify_looks_and_leaves_no_trace_in_use() {
    let machine = Machine::new();
    let guest = Guest::new("good").with("fingerprint", "unreachable");
    machine.plugin(&guest, "[capabilities]\nclock = true");
    machine.file("bad.wasm", "x");
    let seen = machine.verify(&machine.folder().join("good.wasm")).await;
    assert_eq!((seen.len(), seen[0].state), (1, PluginState::Probed));
    assert!(
        seen[0].capabilities[0]
            .remedy
            .as_ref()
            .unwrap()
            .contains("clock = true")
    );
    let seen = machine.verify(&machine.folder()).await;
    let states: Vec<_> = seen
        .iter()
        .map(|plugin| (plugin.file.as_str(), plugin.state))
        .collect();
    assert_eq!(
        states,
        [
            ("bad.wasm", PluginState::Rejected),
            ("good.wasm", PluginState::Probed)
        ]
    );
}

#[tokio::test]
async fn a_backend_that_cannot_look_around_is_active_and_not_usable() {
    let machine = Machine::new();
    machine.plugin(&Guest::new("blind").with("fingerprint", "unreachable"), "");
    let host = machine.host().await;
    let shown = plugin(&host, "blind.wasm");
    assert_eq!((shown.state, shown.usable), (PluginState::Active, false));
    assert!(shown.reason.unwrap().contains("trapped in `fingerprint`"));
}
