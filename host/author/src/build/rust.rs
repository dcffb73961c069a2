//! Rust: cargo, for the target `wasm32-wasip2`, which makes a component by itself.

use std::path::{Path, PathBuf};

use fleet_model::Error;
use serde_json::Value;

use super::read;
use crate::project::Project;
use crate::tool::{Toolbox, command, missing, run};

const TARGET: &str = "wasm32-wasip2";

pub(super) fn build(project: &Project, tools: &Toolbox) -> Result<Vec<u8>, Error> {
    let cargo = tools.need(
        &["cargo"],
        &[],
        "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh   # https://rustup.rs",
    )?;
    let rustc = tools.need(&["rustc"], &[], "rustup toolchain install stable")?;
    check_target(project, &rustc)?;
    let mut cargo = command(&cargo, &project.root);
    cargo.args(["build", "--release", "--target", TARGET]);
    // What was built is told one message a line; the compiler's own words go to stderr.
    cargo.arg("--message-format=json-render-diagnostics");
    let said = run(&mut cargo)?;
    let file = built(&said, &project.root).ok_or_else(|| {
        let message = "cargo built no component: Cargo.toml needs [lib] crate-type = [\"cdylib\"]";
        Error::invalid("does-not-build", message)
    })?;
    read(&file)
}

/// Asked before, because cargo says it in many words.
fn check_target(project: &Project, rustc: &Path) -> Result<(), Error> {
    let mut ask = command(rustc, &project.root);
    let folder = run(ask.args(["--print", "target-libdir", "--target", TARGET]))?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    Err(missing(TARGET, "rustup target add wasm32-wasip2"))
}

/// The component among what cargo says it has built of the package in this folder.
fn built(said: &str, root: &Path) -> Option<PathBuf> {
    let manifest = root.join("Cargo.toml");
    let messages = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let files: Vec<PathBuf> = messages
        .filter(|message: &Value| {
            let of = |key: &str| message.get(key).and_then(Value::as_str);
            of("reason") == Some("compiler-artifact")
                && of("manifest_path").is_some_and(|path| Path::new(path) == manifest)
        })
        .filter_map(|message| {
            let files = message.get("filenames")?.as_array()?.clone();
            let mut files = files
                .into_iter()
                .filter_map(|file| Some(PathBuf::from(file.as_str()?)));
            files.find(|file| {
                file.extension()
                    .is_some_and(|extension| extension == "wasm")
            })
        })
        .collect();
    files.into_iter().next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_found_wherever_cargo_put_it() {
        let said = r#"{"reason":"compiler-artifact","manifest_path":"/other/Cargo.toml","filenames":["/t/serde.wasm"]}
{"reason":"compiler-message","message":{}}
{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/elsewhere/a_b.wasm"]}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(
            built(said, Path::new("/p")),
            Some("/elsewhere/a_b.wasm".into())
        );
        assert_eq!(built(said, Path::new("/q")), None);
    }
}
