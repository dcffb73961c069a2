//! What a stranger does to have a plugin: each page "Write a plugin in X", done command by command, and the
//! worked examples, held to the conformance kit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use fleet_e2e::author::{cache, equip, project, ran, variables};
use fleet_e2e::{Toolchain, Walk, binary, docs};
use serde_json::Value;

/// An address that no other test uses, now or between two of its commands: loopback has millions.
fn own_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(7300);
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    // 127.0.0.* is everybody's.
    format!("127.{}.{b}.{c}:{port}", a.saturating_add(64).min(254))
}

fn walk(toolchain: Toolchain) {
    if !toolchain.is_here() {
        return;
    }
    let address = own_address();
    let mut variables = variables();
    variables.push(("FLEET_LISTEN".into(), address.clone().into()));
    variables.push(("FLEET_SERVER".into(), format!("http://{address}").into()));
    let page = docs().join(format!("plugins-{}.md", toolchain.lang()));
    let text = std::fs::read_to_string(&page).unwrap();
    Walk::new(variables).page(&text);
}

#[test]
fn the_page_for_rust_is_true() {
    walk(Toolchain::Rust);
}

#[test]
fn the_page_for_python_is_true() {
    walk(Toolchain::Python);
}

#[test]
fn the_page_for_javascript_is_true() {
    walk(Toolchain::JavaScript);
}

#[test]
fn the_page_for_c_is_true() {
    walk(Toolchain::C);
}

/// The SDK of a language, copied: its tests leave nothing in the clone.
fn sdk(lang: &str, folder: &Path) -> PathBuf {
    let source = docs().join("../sdk").join(lang).display().to_string();
    ran(folder, &["cp", "-r", &source, lang]);
    folder.join(lang)
}

#[test]
fn the_sdk_in_python_passes_its_tests() {
    if !Toolchain::Python.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tests = ["-m", "unittest", "discover", "-s", "tests", "-t", "."];
    let words = [&["python3", "-B"], &tests[..]].concat();
    ran(&sdk("python", folder.path()), &words);
}

#[test]
fn the_sdk_in_javascript_passes_its_tests() {
    if !Toolchain::JavaScript.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    ran(&sdk("js", folder.path()), &["npm", "test"]);
}

/// A world of all that the contract has: what the host offers, and what a backend can.
fn whole_world() -> String {
    let host = std::fs::read_to_string(docs().join("../wit/host/0.1.0/host.wit")).unwrap();
    let names = host.lines().filter_map(|line| {
        let name = line.strip_prefix("interface ")?.strip_suffix(" {")?;
        Some(format!("import fleet:host/{name}@0.1.0;\n"))
    });
    let imports: String = names.collect();
    assert!(imports.contains("process"), "{imports}");
    let all = "include fleet:backend/backend-with-everything@0.1.0;";
    format!("package fleet:whole;\nworld whole {{\n{all}\n{imports}}}\n")
}

#[test]
fn the_bindings_for_python_are_the_contracts() {
    if !Toolchain::Python.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    equip(Toolchain::Python, root);
    std::fs::create_dir(root.join("world")).unwrap();
    std::fs::write(root.join("world/world.wit"), whole_world()).unwrap();
    let wit = docs().join("../wit");
    let [common, host, backend] = ["common", "host", "backend"]
        .map(|name| wit.join(name).join("0.1.0").display().to_string());
    ran(
        root,
        &[
            ".venv/bin/componentize-py",
            "-d",
            &common,
            "-d",
            &host,
            "-d",
            &backend,
            "-d",
            "world",
            "-w",
            "fleet:whole/whole",
            "bindings",
            "made",
        ],
    );
    let bindings = docs().join("../sdk/python/bindings").display().to_string();
    // What only a component with async functions needs is not kept.
    ran(
        root,
        &[
            "diff",
            "-r",
            "-x",
            "componentize_py_async_support",
            "-x",
            "poll_loop.py",
            "-x",
            "__pycache__",
            "made",
            &bindings,
        ],
    );
}

/// An example as its README has it used.
fn example(name: &str, toolchain: Toolchain) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let source = docs().join("../plugins/examples").join(name);
    let root = project(&source, toolchain, folder.path());
    (folder, root)
}

/// Builds an example and holds it to the kit with its own grants.
fn held(root: &Path, name: &str, skipped_at_most: usize) {
    let host = binary().display().to_string();
    ran(root, &[&host, "plugin", "build"]);
    let component = format!("dist/{name}.wasm");
    let words: [&str; 8] = [
        &host,
        "plugin",
        "test",
        &component,
        "--grants",
        "grants.toml",
        "--output",
        "json",
    ];
    let report: Value = serde_json::from_str(&ran(root, &words)).unwrap();
    assert_eq!(report["failed"], 0, "{report:#}");
    assert!(report["passed"].as_u64().unwrap() >= 30, "{report:#}");
    for case in report["cases"].as_array().unwrap() {
        // Only what it does not offer, or cannot by its nature.
        if case["result"] == "skipped" {
            let reason = case["reason"].as_str().unwrap();
            let is_fine = reason.contains("does not offer") || reason.contains("no processes");
            assert!(is_fine, "{case}");
        }
    }
    let skipped = usize::try_from(report["skipped"].as_u64().unwrap()).unwrap();
    assert!(skipped <= skipped_at_most, "{report:#}");
}

#[test]
fn the_example_in_python_runs_sandboxes() {
    if !Toolchain::Python.is_here() {
        return;
    }
    let (_folder, root) = example("sandbox", Toolchain::Python);
    ran(&root, &["python3", "-B", "-m", "unittest"]);
    held(&root, "sandbox", 12);
}

/// The service that `quay` is a backend over.
struct Berth(Child);

impl Drop for Berth {
    fn drop(&mut self) {
        // Its programs go with it.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn the_example_in_javascript_runs_ships() {
    if !Toolchain::JavaScript.is_here() {
        return;
    }
    let (_folder, root) = example("quay", Toolchain::JavaScript);
    ran(&root, &["npm", "test"]);

    let mut child = Command::new(binary().with_file_name("fleet-test-berth"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cargo build --release -p fleet-test-berth");
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    let _berth = Berth(child);
    BufReader::new(out).read_line(&mut line).unwrap();
    let grants = root.join("grants.toml");
    let text = std::fs::read_to_string(&grants).unwrap();
    let text = text.replace("http://127.0.0.1:7410", line.trim());
    std::fs::write(&grants, text).unwrap();
    held(&root, "quay", 23);
}

#[test]
fn the_example_in_c_runs_what_stands_back() {
    if !Toolchain::C.is_here() {
        return;
    }
    let (_folder, root) = example("calm", Toolchain::C);
    held(&root, "calm", 20);
}

#[test]
fn a_crate_that_cargo_component_builds_loads_as_well() {
    let tool = Command::new("cargo")
        .args(["component", "--version"])
        .output();
    if !tool.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "skipped: there is no cargo-component; to get it: cargo install --locked cargo-component@0.21.1"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let host = binary().display().to_string();
    ran(
        folder.path(),
        &[&host, "plugin", "new", "harbour", "--lang", "rust"],
    );
    let root = folder.path().join("harbour");
    ran(&root, &["rustup", "target", "add", "wasm32-wasip1"]);
    ran(&root, &["cargo", "component", "build", "--release"]);
    let built = cache("author-tools/cargo/wasm32-wasip1/release/harbour.wasm");
    std::fs::create_dir_all(root.join("dist")).unwrap();
    std::fs::copy(built, root.join("dist/harbour.wasm")).unwrap();
    std::fs::copy(root.join("plugin.toml"), root.join("dist/harbour.toml")).unwrap();
    ran(&root, &[&host, "plugin", "verify", "dist/harbour.wasm"]);
}

#[test]
fn a_missing_tool_is_named_with_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for (lang, tool, remedy) in [
        ("rust", "`cargo`", "rustup.rs"),
        (
            "python",
            "`componentize-py`",
            "pip install componentize-py==0.25.0",
        ),
        ("js", "`node`", "apt-get install nodejs npm"),
        ("c", "`make`", "apt-get install make clang-19"),
    ] {
        let name = format!("harbour-{lang}");
        let run = |words: &[&str], directory: &Path| {
            let mut command = Command::new(binary());
            command
                .args(words)
                .current_dir(directory)
                .env("PATH", &empty);
            command.stdin(Stdio::null()).output().unwrap()
        };
        assert!(
            run(&["plugin", "new", &name, "--lang", lang], folder.path())
                .status
                .success()
        );
        let output = run(&["plugin", "build"], &folder.path().join(&name));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{errors}");
        assert!(errors.contains(tool) && errors.contains(remedy), "{errors}");
    }
}
