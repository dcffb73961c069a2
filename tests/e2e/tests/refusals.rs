//! What the CLI and the API refuse: each message says what is wrong and what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use fleet_e2e::{Host, HostOptions, Ran, plugins};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// Refused with this exit code, and with all of these words.
fn says(refused: &Ran, code: i32, words: &[&str]) {
    assert_eq!(refused.code, code, "{refused:?}");
    // A command that waits may warn before.
    let mut lines = refused.stderr.lines();
    assert!(lines.any(|line| line.starts_with("error: ")), "{refused:?}");
    for word in words {
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
}

fn run(host: &Host, args: &[&str]) -> Ran {
    host.cli([&["workload", "run"], args].concat())
}

#[test]
fn a_request_that_cannot_be_met_says_what_could_be() {
    let host = Host::start();
    run(&host, &["--name", "taken", "--wait", "--", "sleep", "1000"]).ok();
    for (args, code, words) in [
        (
            &["--nmae", "web", "--", "true"][..],
            2,
            &["'--nmae'", "similar argument exists: '--name'"][..],
        ),
        (
            &["--name", "taken", "--", "true"],
            4,
            &["`taken`", "remove that one first, or take another name"],
        ),
        (
            &["--backend", "nativ", "--", "true"],
            4,
            &[
                "`nativ`",
                "has the backends docker, mock, native",
                "name one of those, or put the plugin into the node's plugin folder",
            ],
        ),
        (
            &["--label", "team=a b", "--", "true"],
            2,
            &["`a b` is not a label", "use at most 128 of A-Z, a-z, 0-9"],
        ),
        (
            &["--label", "team", "--", "true"],
            2,
            &["expected KEY=VALUE"],
        ),
        (&["--label", "=a", "--", "true"], 2, &["expected KEY=VALUE"]),
        (
            &["--ttl", "100years", "--", "true"],
            4,
            &["100years", "write 1s to 10years", "or leave it out"],
        ),
        (
            &["--wait", "--", "no-such-program"],
            1,
            &[
                "no program `no-such-program`",
                "install it or give its path",
            ],
        ),
        (
            &["--wait", "--", "/no/such/program"],
            1,
            &["`/no/such/program`", "install it or correct the path"],
        ),
        (
            &["--wait", "--", "/tmp"],
            1,
            &["`/tmp` is a directory", "name the program in it"],
        ),
    ] {
        says(&run(&host, args), code, words);
    }
    says(
        &host.cli(["worklaod", "ls"]),
        2,
        &["'worklaod'", "similar subcommands exist", "'workload'"],
    );
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn a_file_with_a_mistake_is_answered_with_its_place_and_what_was_expected() {
    let host = Host::start();
    let file = host.scratch().join("w.toml");
    let at = |place: &str| format!("{}:{place}: ", file.display());
    for (text, code, place, words) in [
        (
            "name = \"w\"\ncomand = [\"true\"]\n",
            2,
            at("2:1"),
            &["unknown key `comand`", "did you mean `command`?"][..],
        ),
        (
            "[limits]\nmemroy = \"1GiB\"\n",
            2,
            at("2:1"),
            &["unknown key `memroy`", "did you mean `memory`?"],
        ),
        (
            "name = \"w\"\ncommand = \"true\"\n",
            2,
            at("2:11"),
            &["expected a sequence"],
        ),
        (
            "name = \"w\"\ncommand = [\"true\"\nttl = \"1h\"\n",
            2,
            at("3:1"),
            &["missing comma", "expected `,`"],
        ),
        (
            "name = \"w\"\nttl \"1h\"\n",
            2,
            at("2:5"),
            &["expected `=`"],
        ),
        (
            "command = [\"true\"]\n[config]\nlauncher = 5\n",
            4,
            "/config/launcher: ".to_owned(),
            &[
                "5 is not of type \"string\"",
                "`fleet-host plugin show native --output json` has the schema",
            ],
        ),
        (
            "command = [\"true\"]\n[config]\nlancher = \"dev\"\n",
            4,
            "/config: ".to_owned(),
            &[
                "lancher",
                "`fleet-host plugin show native --output json` has the schema",
            ],
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = run(&host, &["-f", file.to_str().unwrap()]);
        says(&refused, code, &[&[place.as_str()], words].concat());
    }
    // The remedy it names is there.
    let schema = host
        .cli(["plugin", "show", "native", "--output", "json"])
        .ok()
        .json();
    assert_eq!(
        schema["config_schema"]["properties"]["launcher"]["type"],
        "string"
    );
}

#[test]
fn ten_mebibytes_of_environment_are_refused_and_files_are_named() {
    let host = Host::start();
    let file = host.scratch().join("w.toml");
    let environment = |variables: usize, bytes: usize| -> String {
        let value = "x".repeat(bytes);
        let lines = (0..variables).map(|n| format!("K{n} = \"{value}\"\n"));
        format!("command = [\"true\"]\n[env]\n{}", lines.collect::<String>())
    };
    const MIB: usize = 1 << 20;
    for (variables, bytes, words) in [
        (
            1,
            10 * MIB,
            &["larger than the limit of 4194304 bytes", "file"][..],
        ),
        (
            100,
            MIB / 10,
            &["larger than the limit of 4194304 bytes", "file"],
        ),
        (
            1,
            3 * MIB,
            &["131072 bytes or more", "put data into `files`"],
        ),
        (
            30,
            MIB / 10,
            &["no program with more than 2097152", "put data into `files`"],
        ),
    ] {
        std::fs::write(&file, environment(variables, bytes)).unwrap();
        let refused = run(&host, &["-f", file.to_str().unwrap()]);
        says(&refused, 4, words);
    }
    let left = host.cli(["workload", "ls", "--output", "json"]).ok().json();
    assert_eq!(left["items"].as_array().unwrap().len(), 0);
}

#[test]
fn a_component_that_cannot_be_used_says_why_in_every_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mock = std::fs::read(plugins().join("mock.wasm")).unwrap();
    let put = |name: &str, component: &[u8], more: &str| {
        let manifest =
            format!("name = \"{name}\"\nkind = \"backend\"\nversion = \"0.1.0\"\n{more}");
        std::fs::write(folder.path().join(format!("{name}.wasm")), component).unwrap();
        std::fs::write(folder.path().join(format!("{name}.toml")), manifest).unwrap();
    };
    put(
        "later",
        &renamed(&mock, "fleet:host/clock@0.1.0", "fleet:host/clock@0.7.0"),
        "",
    );
    put(
        "other",
        &renamed(&mock, "fleet:host/clock@0.1.0", "fleet:host/clack@0.1.0"),
        "",
    );
    put(
        "traps",
        &trapping(&mock, "fleet:backend/driver@0.1.0#describe"),
        "",
    );
    put("typo", &mock, "[capabilities]\nlgo = true\n");
    put("huge", b"", "");
    let huge = std::fs::File::create(folder.path().join("huge.wasm")).unwrap();
    huge.set_len(100 << 20).unwrap();

    let host = Host::start_with(HostOptions {
        plugins: Some(folder.path().to_owned()),
        ..HostOptions::default()
    });
    let table = host.cli(["plugin", "ls"]).ok().stdout;
    for (name, words) in [
        (
            "later",
            &[
                "fleet:host/clock@0.7.0",
                "the newest fleet:host/clock this host has is 0.1.0",
                "build it for that version, or update the host",
            ][..],
        ),
        (
            "other",
            &[
                "fleet:host/clack@0.1.0",
                "clock, config",
                "newest version: 0.1.0",
                "build it for one of those, or update the host",
            ],
        ),
        (
            "traps",
            &[
                "trapped in `describe`",
                "mend it",
                "fleet-host plugin verify",
            ],
        ),
        (
            "typo",
            &["typo.toml:5", "`lgo`", "expected one of", "`log`"],
        ),
        ("huge", &["larger than 65536 KiB", "strip"]),
    ] {
        let row = table.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(row.contains("rejected"), "{row}");
        for word in words {
            assert!(row.contains(word), "{word}: {row}");
        }
        // Whoever asks for it is told the same.
        let refused = run(&host, &["--backend", name, "--", "x"]);
        says(
            &refused,
            4,
            &[words, &["mend the plugin", "`fleet-host plugin ls`"]].concat(),
        );
    }
    // Before a host has it, too.
    let file = folder.path().join("traps.wasm");
    let verified = host.cli(["plugin", "verify", file.to_str().unwrap()]);
    says(&verified, 1, &["traps.wasm", "trapped in `describe`"]);
}

#[test]
fn what_a_manifest_asks_for_and_nobody_granted_is_refused_with_the_line_that_makes_it_work() {
    let folder = tempfile::tempdir().unwrap();
    let grants = folder.path().join("grants.toml");
    std::fs::write(&grants, "[native]\nlog = true\n").unwrap();
    let mut host = Host::start_with(HostOptions {
        args: vec!["--grants".into(), grants.clone().into()],
        ..HostOptions::default()
    });
    let refused = run(&host, &["--", "true"]);
    let line = "[native.process.launchers.dev]";
    says(
        &refused,
        5,
        &["`native` is not granted", line, grants.to_str().unwrap()],
    );
    host.kill();
    std::fs::write(
        &grants,
        format!("[native]\nlog = true\n{line}\nany = true\n"),
    )
    .unwrap();
    host.start_again();
    run(&host, &["--wait", "--", "true"]).ok();
}

/// The same component with another name in place of one.
fn renamed(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut component = component.to_vec();
    let mut at = 0;
    while let Some(found) = position(&component[at..], from.as_bytes()) {
        component[at + found..][..to.len()].copy_from_slice(to.as_bytes());
        at += found + to.len();
    }
    assert!(at > 0, "no {from}");
    component
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// The same component with an `unreachable` as the first instruction of an export.
fn trapping(component: &[u8], export: &str) -> Vec<u8> {
    let mut component = component.to_vec();
    let (mut imported, mut wanted, mut body) = (0, None, 0);
    let mut place = None;
    for payload in Parser::new(0).parse_all(&component) {
        match payload.unwrap() {
            Payload::Version { .. } => (imported, wanted, body) = (0, None, 0),
            Payload::ImportSection(section) => {
                let imports = section.into_imports().map(Result::unwrap);
                imported = imports
                    .filter(|import| matches!(import.ty, TypeRef::Func(_)))
                    .count();
            }
            Payload::ExportSection(section) => {
                let mut exports = section.into_iter().map(Result::unwrap);
                let found =
                    exports.find(|found| found.kind == ExternalKind::Func && found.name == export);
                wanted = found.map(|found| found.index as usize);
            }
            Payload::CodeSectionEntry(code) => {
                if wanted == Some(imported + body) && place.is_none() {
                    let mut operators = code.get_operators_reader().unwrap();
                    let first = operators.original_position();
                    operators.read().unwrap();
                    place = Some(first..operators.original_position());
                }
                body += 1;
            }
            _ => {}
        }
    }
    let place = place.expect("the export");
    // https://webassembly.github.io/spec/core/binary/instructions.html: nop, and unreachable.
    component[place.clone()].fill(0x01);
    component[place.start] = 0x00;
    component
}
