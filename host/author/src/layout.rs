//! Where in a project the files lie that the host brings.
//!
//! ```text
//! NAME/  plugin.toml  grants.toml  src/  ...   the author's
//!        sdk/                                  the host's: written anew by `plugin sdk`
//!        wit/world.wit                         the author's (not in Rust)
//!        wit/deps/                             the host's, but for packages of others
//! ```

use std::collections::BTreeSet;

use fleet_model::Name;

use crate::embedded::{
    C_SDK, C_TEMPLATE, File, JAVASCRIPT_SDK, JAVASCRIPT_TEMPLATE, PYTHON_SDK, PYTHON_TEMPLATE,
    RUST_SDK, RUST_SDK_MANIFEST, RUST_TEMPLATE, WIT, WORLD,
};
use crate::language::Language;

/// What stands in a template for the plugin's name.
const NAME: &str = "{{name}}";

/// The folders of a project that are the host's. Other packages beside those of the contract are the author's.
pub(crate) fn owned(language: Language) -> BTreeSet<String> {
    let packages = WIT.iter().filter_map(|(path, _)| path.split('/').next());
    let packages = packages.map(|package| format!("wit/deps/{package}"));
    let sdk = std::iter::once("sdk".to_owned());
    match language {
        Language::Rust => sdk.collect(),
        Language::Python | Language::JavaScript | Language::C => sdk.chain(packages).collect(),
    }
}

/// What the host puts into its folders: path in the project, and text.
pub(crate) fn sdk(language: Language) -> Vec<(String, String)> {
    let (sdk, wit) = match language {
        Language::Rust => (RUST_SDK, "sdk/wit"),
        Language::Python => (PYTHON_SDK, "wit/deps"),
        Language::JavaScript => (JAVASCRIPT_SDK, "wit/deps"),
        Language::C => (C_SDK, "wit/deps"),
    };
    let mut files: Vec<(String, String)> = WIT
        .iter()
        .map(|(path, text)| {
            (
                format!("{wit}/{}", wit_path(language, path)),
                (*text).to_owned(),
            )
        })
        .collect();
    files.extend(below("sdk", sdk).map(|(path, text)| {
        let text = if language == Language::Rust {
            in_project(text)
        } else {
            text.to_owned()
        };
        (path, text)
    }));
    if language == Language::Rust {
        let own = below("sdk", RUST_SDK_MANIFEST);
        files.extend(own.map(|(path, text)| (path, text.to_owned())));
    }
    files
}

/// What is the author's from the begin.
pub(crate) fn template(language: Language, name: &Name) -> Vec<(String, String)> {
    let (template, world) = match language {
        Language::Rust => (RUST_TEMPLATE, &[][..]),
        Language::Python => (PYTHON_TEMPLATE, WORLD),
        Language::JavaScript => (JAVASCRIPT_TEMPLATE, WORLD),
        Language::C => (C_TEMPLATE, WORLD),
    };
    let named = |text: &str| text.replace(NAME, name.as_str());
    let own = template
        .iter()
        .map(|(path, text)| ((*path).to_owned(), named(text)));
    own.chain(below("wit", world).map(|(path, text)| (path, text.to_owned())))
        .collect()
}

fn below<'a>(
    folder: &'a str,
    files: &'a [File],
) -> impl Iterator<Item = (String, &'static str)> + 'a {
    files
        .iter()
        .map(move |(path, text)| (format!("{folder}/{path}"), *text))
}

/// Toolchains look for a package in a folder of `deps`, whatever its version; the Rust SDK names the versions.
fn wit_path(language: Language, path: &str) -> String {
    match (language, path.split('/').collect::<Vec<_>>().as_slice()) {
        (Language::Rust, _) => path.to_owned(),
        (_, [package, _, file]) => format!("{package}/{file}"),
        _ => path.to_owned(),
    }
}

/// The Rust SDK's paths to the contract, from where it lies in a project.
fn in_project(text: &str) -> String {
    text.replace("\"../../wit/", "\"wit/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_its_name_and_nothing_to_fill_in() {
        for language in Language::ALL {
            let name: Name = "harbour".parse().unwrap();
            let files = template(language, &name);
            let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
            for needed in [
                language.project_file(),
                "plugin.toml",
                "grants.toml",
                "README.md",
            ] {
                assert!(paths.contains(&needed), "{language}: {needed}");
            }
            for (path, text) in &files {
                assert!(!text.contains("{{"), "{language}: {path}");
            }
            let manifest = files
                .iter()
                .find(|(path, _)| path == "plugin.toml")
                .unwrap();
            let manifest = fleet_plugin::Manifest::parse("plugin.toml", &manifest.1).unwrap();
            assert_eq!(manifest.name.as_str(), "harbour");
        }
    }

    #[test]
    fn each_sdk_finds_its_contract() {
        for language in Language::ALL {
            let files = sdk(language);
            assert!(files.iter().all(|(path, _)| {
                owned(language)
                    .iter()
                    .any(|own| path.starts_with(&format!("{own}/")))
            }));
            let host = match language {
                Language::Rust => "sdk/wit/host/0.1.0/host.wit",
                _ => "wit/deps/host/host.wit",
            };
            assert!(files.iter().any(|(path, _)| path == host), "{language}");
        }
        let files = sdk(Language::Rust);
        let (_, bindings) = files
            .iter()
            .find(|(path, _)| path == "sdk/src/bindings.rs")
            .unwrap();
        assert!(bindings.contains("\"wit/common/0.1.0\"") && !bindings.contains("../"));
    }

    /// A second version of a package needs a folder of its own, or one would be written over the other.
    #[test]
    fn no_file_of_an_sdk_is_written_twice() {
        for language in Language::ALL {
            let name: Name = "harbour".parse().unwrap();
            let files = template(language, &name).into_iter().chain(sdk(language));
            let mut paths = BTreeSet::new();
            for (path, _) in files {
                assert!(paths.insert(path.clone()), "{language}: {path}");
            }
        }
    }

    /// The Rust SDK is written for one `serde` and `wit-bindgen`, here and in a project.
    #[test]
    fn the_sdk_of_a_project_has_this_workspaces_dependencies() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let workspace = std::fs::read_to_string(root.join("plugins/Cargo.toml")).unwrap();
        let (_, standalone) = RUST_SDK_MANIFEST[0];
        for line in standalone
            .lines()
            .skip_while(|line| *line != "[dependencies]")
            .skip(1)
        {
            assert!(workspace.lines().any(|other| other == line), "{line}");
        }
    }
}
