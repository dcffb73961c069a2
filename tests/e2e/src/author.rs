//! What a plugin's author has on a machine, for tests that build plugins: tools that are installed once and
//! downloads that are kept, in the target folder.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::host::binary;
use crate::toolchain::Toolchain;

/// A folder that is kept between runs.
#[must_use]
pub fn cache(name: &str) -> PathBuf {
    let target = binary();
    let target = target.parent().and_then(Path::parent).unwrap();
    target.join(name)
}

/// A path that begins with the host's folder, and caches of our own for everything that downloads.
#[must_use]
pub fn variables() -> Vec<(OsString, OsString)> {
    let folder = binary().parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)));
    let tools = cache("author-tools");
    let set = |name: &str, value: PathBuf| (OsString::from(name), value.into_os_string());
    vec![
        ("PATH".into(), path.unwrap()),
        set("FLEET_CACHE", cache("test-compile-cache")),
        set("PIP_CACHE_DIR", tools.join("pip")),
        set("npm_config_cache", tools.join("npm")),
        // Also a build folder that is not the project's own.
        set("CARGO_TARGET_DIR", tools.join("cargo")),
    ]
}

/// Runs a program to its good end and answers what it printed.
pub fn ran(folder: &Path, words: &[&str]) -> String {
    let output = Command::new(words[0])
        .args(&words[1..])
        .current_dir(folder)
        .envs(variables())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{words:?}: {}\n{out}{errors}",
        output.status
    );
    out
}

/// A project of this clone, copied into a folder, with the SDK of the host under test and its tools at hand.
#[must_use]
pub fn project(source: &Path, toolchain: Toolchain, folder: &Path) -> PathBuf {
    let root = folder.join(source.file_name().unwrap());
    ran(
        folder,
        &["cp", "-r", source.to_str().unwrap(), root.to_str().unwrap()],
    );
    ran(&root, &[&binary().display().to_string(), "plugin", "sdk"]);
    equip(toolchain, &root);
    root
}

/// Waits until nobody else works in a folder, in this process or another; it is ours until this is dropped.
#[must_use]
pub fn lock(folder: &Path) -> File {
    std::fs::create_dir_all(folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    lock
}

/// Lets a project use the tools that are shared by all tests. Each version of a tool has a folder of its own.
pub fn equip(toolchain: Toolchain, root: &Path) {
    let (name, part, install): (&str, &str, &[&[&str]]) = match toolchain {
        Toolchain::Rust | Toolchain::C => return,
        Toolchain::Python => (
            "python-0.25.0",
            ".venv",
            &[
                &["python3", "-m", "venv", ".venv"],
                &[
                    ".venv/bin/pip",
                    "install",
                    "--quiet",
                    "componentize-py==0.25.0",
                ],
            ],
        ),
        Toolchain::JavaScript => (
            "js-0.23.0",
            "node_modules",
            &[
                &["npm", "init", "--yes"],
                &[
                    "npm",
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "@bytecodealliance/componentize-js@0.23.0",
                ],
            ],
        ),
    };
    let folder = cache("author-tools").join(name);
    // Tests run side by side: one installs, the others wait.
    let _lock = lock(&folder);
    let done = folder.join("installed");
    if !done.exists() {
        for words in install {
            ran(&folder, words);
        }
        std::fs::write(done, "").unwrap();
    }
    std::os::unix::fs::symlink(folder.join(part), root.join(part)).unwrap();
}
