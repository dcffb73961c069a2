//! The files that are part of the program: the contract, the SDKs, the templates.
//!
//! A test holds each list against its folder.

/// A file: where it lies below its folder, and what is in it.
pub(crate) type File = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../", $folder, "/", $name)))),+]
    };
}

/// The contract: a folder per package, and in it one per version.
pub(crate) const WIT: &[File] = files!["wit":
    "backend/0.1.0/backend.wit",
    "common/0.1.0/types.wit",
    "host/0.1.0/host.wit",
];

/// The world of a new plugin in a language whose SDK does not bring one.
pub(crate) const WORLD: &[File] = files!["sdk/templates/wit": "world.wit"];

pub(crate) const RUST_SDK: &[File] = files!["sdk/rust":
    "src/bindings.rs",
    "src/error.rs",
    "src/imports.rs",
    "src/lib.rs",
    "src/page.rs",
    "src/processes.rs",
    "src/state.rs",
    "src/testing/fakes/clock.rs",
    "src/testing/fakes/config.rs",
    "src/testing/fakes/endpoint.rs",
    "src/testing/fakes/handles.rs",
    "src/testing/fakes/lines.rs",
    "src/testing/fakes/log.rs",
    "src/testing/fakes/mod.rs",
    "src/testing/fakes/process.rs",
    "src/testing/host.rs",
    "src/testing/mod.rs",
    "src/testing/table.rs",
    "src/workload.rs",
];

/// The SDK's own file in a project: in this workspace it is a member of another one.
pub(crate) const RUST_SDK_MANIFEST: &[File] = files!["sdk/rust/standalone": "Cargo.toml"];

pub(crate) const PYTHON_SDK: &[File] = files!["sdk/python":
    "bindings/componentize_py_runtime.pyi",
    "bindings/componentize_py_types.py",
    "bindings/wit_world/__init__.py",
    "bindings/wit_world/exports/__init__.py",
    "bindings/wit_world/exports/driver.py",
    "bindings/wit_world/exports/exec.py",
    "bindings/wit_world/exports/input.py",
    "bindings/wit_world/exports/logs.py",
    "bindings/wit_world/exports/signals.py",
    "bindings/wit_world/exports/stats.py",
    "bindings/wit_world/imports/__init__.py",
    "bindings/wit_world/imports/clock.py",
    "bindings/wit_world/imports/config.py",
    "bindings/wit_world/imports/endpoint.py",
    "bindings/wit_world/imports/handles.py",
    "bindings/wit_world/imports/lines.py",
    "bindings/wit_world/imports/log.py",
    "bindings/wit_world/imports/process.py",
    "bindings/wit_world/imports/sources.py",
    "bindings/wit_world/imports/types.py",
    "fleet_sdk/__init__.py",
    "fleet_sdk/configs.py",
    "fleet_sdk/dataclass_json.py",
    "fleet_sdk/errors.py",
    "fleet_sdk/handles.py",
    "fleet_sdk/pages.py",
    "fleet_sdk/processes.py",
    "fleet_sdk/testing/__init__.py",
    "fleet_sdk/testing/endpoints.py",
    "fleet_sdk/testing/host.py",
    "fleet_sdk/testing/processes.py",
    "fleet_sdk/testing/tables.py",
];

pub(crate) const JAVASCRIPT_SDK: &[File] = files!["sdk/js":
    "configs.js",
    "contract.d.ts",
    "errors.js",
    "exported.js",
    "handles.js",
    "imports.d.ts",
    "index.d.ts",
    "index.js",
    "package.json",
    "pages.js",
    "processes.d.ts",
    "processes.js",
    "sources.js",
    "testing/fakes/clock.js",
    "testing/fakes/config.js",
    "testing/fakes/endpoint.js",
    "testing/fakes/handles.js",
    "testing/fakes/lines.js",
    "testing/fakes/log.js",
    "testing/fakes/process.js",
    "testing/host.js",
    "testing/index.js",
    "testing/register.js",
    "testing/resolve.js",
];

pub(crate) const C_SDK: &[File] = files!["sdk/c":
    "fleet.c",
    "fleet.h",
    "handles.h",
    "processes.c",
    "processes.h",
];

pub(crate) const RUST_TEMPLATE: &[File] = files!["sdk/templates/rust":
    ".gitignore",
    "Cargo.toml",
    "README.md",
    "config.schema.json",
    "grants.toml",
    "plugin.toml",
    "src/lib.rs",
];

pub(crate) const PYTHON_TEMPLATE: &[File] = files!["sdk/templates/python":
    ".gitignore",
    "README.md",
    "grants.toml",
    "plugin.toml",
    "pyproject.toml",
    "src/plugin.py",
    "tests/__init__.py",
    "tests/test_plugin.py",
];

pub(crate) const JAVASCRIPT_TEMPLATE: &[File] = files!["sdk/templates/js":
    ".gitignore",
    "README.md",
    "grants.toml",
    "jsconfig.json",
    "package.json",
    "plugin.toml",
    "src/plugin.js",
    "tests/plugin.test.js",
];

pub(crate) const C_TEMPLATE: &[File] = files!["sdk/templates/c":
    ".gitignore",
    "Makefile",
    "README.md",
    "grants.toml",
    "plugin.toml",
    "src/plugin.c",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The files below a folder, but for what is the workspace's own business.
    fn found(root: &Path, folder: &Path, files: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if name != "__pycache__" {
                    found(root, &path, files);
                }
            } else {
                let below = path.strip_prefix(root).unwrap();
                files.insert(below.to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn nothing_is_forgotten() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (folder, listed, left_out) in [
            ("wit", WIT, &["frozen.toml"][..]),
            ("sdk/templates/wit", WORLD, &[]),
            ("sdk/rust/src", RUST_SDK, &[]),
            ("sdk/rust/standalone", RUST_SDK_MANIFEST, &[]),
            (
                "sdk/python",
                PYTHON_SDK,
                &["README.md", "pyproject.toml", "tests/"],
            ),
            ("sdk/js", JAVASCRIPT_SDK, &["README.md", "tests/"]),
            ("sdk/c", C_SDK, &["README.md", "tests/"]),
            ("sdk/templates/rust", RUST_TEMPLATE, &[]),
            ("sdk/templates/python", PYTHON_TEMPLATE, &[]),
            ("sdk/templates/js", JAVASCRIPT_TEMPLATE, &[]),
            ("sdk/templates/c", C_TEMPLATE, &[]),
        ] {
            let root = workspace.join(folder);
            let mut files = BTreeSet::new();
            found(&root, &root, &mut files);
            files.retain(|file| !left_out.iter().any(|out| file.starts_with(out)));
            let listed: BTreeSet<String> = listed
                .iter()
                .map(|(name, _)| name.trim_start_matches("src/").to_owned())
                .collect();
            let files: BTreeSet<String> = files
                .iter()
                .map(|name| name.trim_start_matches("src/").to_owned())
                .collect();
            assert_eq!(files, listed, "{folder}");
        }
    }
}
