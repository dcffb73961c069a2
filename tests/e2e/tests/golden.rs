//! Components that were built for the contract's versions still serve: `tests/golden/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::path::{Path, PathBuf};

use fleet_e2e::author::{cache, equip, ran};
use fleet_e2e::{Toolchain, binary, docs};
use serde_json::Value;

/// Over all files and their names, in one order on every machine.
const DIGEST: &str =
    "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-64";

fn kept() -> PathBuf {
    docs().join("../tests/golden")
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn components_that_are_kept_pass_the_kit() {
    let folders = listed(&kept()).into_iter().filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| listed(&folder));
    let components: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|it| it == "wasm"))
        .collect();
    assert!(components.len() >= 2, "{components:?}");
    let host = binary().display().to_string();
    for component in components {
        let file = component.display().to_string();
        let words = [&host, "plugin", "test", &file, "--output", "json"];
        let report: Value = serde_json::from_str(&ran(&kept(), &words)).unwrap();
        assert_eq!(report["failed"], 0, "{file}: {report:#}");
        assert!(report["passed"].as_u64().unwrap() >= 40, "{report:#}");
    }
}

/// The digests of a language, oldest first.
fn named(lang: &str) -> Vec<String> {
    let text = std::fs::read_to_string(kept().join("golden.toml")).unwrap();
    let prefix = format!("{lang} = [");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&prefix));
    let first = lines
        .next()
        .expect("a list per language")
        .trim_start_matches(&prefix);
    let list: String = std::iter::once(first).chain(lines).collect();
    let list = list.split(']').next().unwrap().to_owned();
    let digests = list
        .split(',')
        .map(|digest| digest.trim().trim_matches('"').to_owned());
    digests.filter(|digest| !digest.is_empty()).collect()
}

fn golden(toolchain: Toolchain) {
    if !toolchain.is_here() {
        return;
    }
    let lang = toolchain.lang();
    let host = binary().display().to_string();
    let folder = tempfile::tempdir().unwrap();
    ran(
        folder.path(),
        &[&host, "plugin", "new", "golden", "--lang", lang],
    );
    let project = folder.path().join("golden");
    let digest = ran(&project, &["bash", "-c", DIGEST]).trim().to_owned();
    let named = named(lang);

    let built = cache("golden");
    std::fs::create_dir_all(&built).unwrap();
    let place = built.join(&digest);
    if !place.exists() {
        equip(toolchain, &project);
        ran(&project, &[&host, "plugin", "build"]);
        let whole = tempfile::tempdir_in(&built).unwrap().keep();
        for file in ["golden.wasm", "golden.toml"] {
            std::fs::copy(project.join("dist").join(file), whole.join(file)).unwrap();
        }
        // Another run may have been quicker: what it made is as good.
        let _ = std::fs::rename(&whole, &place);
    }
    let there = named
        .iter()
        .map(|digest| built.join(digest))
        .filter(|place| place.exists());
    for place in there.chain([place.clone()]) {
        let file = place.join("golden.wasm").display().to_string();
        ran(
            &place,
            &[&host, "plugin", "test", &file, "--case", "lifecycle"],
        );
    }
    assert_eq!(
        named.last(),
        Some(&digest),
        "the recipe for {lang} has changed: if that is on purpose, add its digest to tests/golden/golden.toml:\n\"{digest}\""
    );
}

#[test]
fn components_in_rust_load() {
    golden(Toolchain::Rust);
}

#[test]
fn components_in_python_load() {
    golden(Toolchain::Python);
}

#[test]
fn components_in_javascript_load() {
    golden(Toolchain::JavaScript);
}

#[test]
fn components_in_c_load() {
    golden(Toolchain::C);
}
