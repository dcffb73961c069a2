use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance")
}

fn schema() -> jsonschema::Validator {
    let text = std::fs::read_to_string(folder().join("case.schema.json")).unwrap();
    jsonschema::draft202012::new(&serde_json::from_str(&text).unwrap()).unwrap()
}

fn json(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

#[test]
fn every_folder_is_a_case_of_the_program_and_fits_the_schema() {
    let mut folders = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            folders.insert(entry.file_name().into_string().unwrap());
        }
    }
    let known: BTreeSet<_> = embedded::TEXTS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(folders, known);
    let schema = schema();
    for (name, text) in embedded::TEXTS {
        let case = Case::parse(name, text).unwrap();
        assert!(!case.steps.is_empty(), "{name}");
        let mistakes: Vec<String> = schema
            .iter_errors(&json(text))
            .map(|error| error.to_string())
            .collect();
        assert!(mistakes.is_empty(), "{name}: {mistakes:?}");
    }
}

/// A case of this one step.
fn of(step: &str) -> String {
    let needs = r#"["logs", "input", "exec", "signals", "stats", "process", "list", "reads", "traps", "exec-reads", "exec-signals", "exec-outlives"]"#;
    format!("title = \"t\"\nwhy = \"w\"\nneeds = {needs}\nsteps = [{{ {step} }}]\n")
}

#[test]
fn the_schema_and_the_types_take_and_refuse_the_same() {
    let schema = schema();
    for (step, good) in [
        (r#"do = "describe""#, true),
        (r#"do = "describe", on = "a""#, false),
        (r#"do = "create", role = "long""#, true),
        (r#"do = "create""#, false),
        (r#"do = "create", role = "lnog""#, false),
        (r#"do = "create", role = "long", name = "a""#, false),
        (
            r#"do = "create", role = "long", as = "b", of = "a", generation = 2, attempt = 2"#,
            true,
        ),
        (r#"do = "create-off-schema", role = "long""#, true),
        (r#"do = "start""#, true),
        (r#"do = "start", on = 1"#, false),
        (
            r#"do = "stop", signal = "TERM", attempt = 2, at_most_ms = 5"#,
            true,
        ),
        (r#"do = "stop", at_most_ms = -1"#, false),
        (r#"do = "await", is = "running""#, true),
        (r#"do = "await", is = ["exited", "lost"], code = 3"#, true),
        (r#"do = "await", is = "dead""#, false),
        (r#"do = "await""#, false),
        (r#"do = "look""#, true),
        (
            r#"do = "recover", of = ["a", "garbage"], are = ["running", ["lost", "unknown"]], count = 9"#,
            true,
        ),
        (r#"do = "recover", of = ["a"]"#, false),
        (
            r#"do = "list", limit = 2, has = ["a"], lacks = ["b"]"#,
            true,
        ),
        (r#"do = "list""#, false),
        (r#"do = "send", text = "x", refused = "conflict""#, true),
        (
            r#"do = "send", text = "x", refused = ["conflict", "not-found"]"#,
            true,
        ),
        (r#"do = "kill-behind", what = "keeper""#, true),
        (r#"do = "kill-behind", what = "host""#, false),
        (r#"do = "exec-give", text = "x", end = true"#, true),
        (r#"do = "exec-give""#, false),
        (r#"do = "exec", as = "y", role = "prints""#, true),
        (r#"do = "exec", role = "short""#, false),
        (
            r#"do = "exec", role = "long", terminal = { columns = 80, rows = 24 }"#,
            true,
        ),
        (
            r#"do = "exec", role = "long", terminal = { columns = 80 }"#,
            false,
        ),
        (
            r#"do = "exec-resize", to = { columns = 9, rows = 9 }, refused = "invalid""#,
            true,
        ),
        (r#"do = "exec-resize""#, false),
        (r#"do = "explode""#, false),
        (r#"on = "a""#, false),
    ] {
        let text = of(step);
        assert_eq!(schema.is_valid(&json(&text)), good, "the schema: {step}");
        let read = Case::parse("x", &text);
        assert_eq!(read.is_ok(), good, "the types: {step}: {read:?}");
    }
}

#[test]
fn a_step_is_shown_as_it_is_written() {
    let case = Case::parse("x", &of(r#"do = "await", is = "exited", code = 3"#)).unwrap();
    assert_eq!(
        case.steps[0].text,
        r#"do = "await", is = "exited", code = 3"#
    );
}

#[test]
fn a_case_says_all_it_needs() {
    let text = "title = \"t\"\nwhy = \"w\"\nsteps = [{ do = \"stats\" }]\n";
    let error = Case::parse("x", text).unwrap_err();
    assert!(error.contains("Stats"), "{error}");
}
