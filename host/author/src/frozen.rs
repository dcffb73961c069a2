//! The freeze: from 1.0.0 on a version of a package never changes again, but for its comments.
//!
//! `wit/frozen.toml` names each frozen version with a digest of what it means. A version from 1.0.0 on that is
//! not in the list, or means something else than the list says, is an error; so is one in the list that is
//! gone. Versions below 1.0.0 may change and are not listed. [`check`] is all of it, a function of texts.

use std::collections::BTreeMap;

use fleet_model::Error;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use wit_component::WitPrinter;
use wit_parser::Resolve;

/// `wit/frozen.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// `NAME@VERSION` to `sha256:...`.
    #[serde(default)]
    packages: BTreeMap<String, String>,
}

/// Holds the versions that are there against the list of those that may not change.
///
/// # Errors
/// `invalid` (`frozen`), naming what changed and what to do; `invalid` (`bad-frozen-list`).
fn check(list: &str, packages: &Resolve) -> Result<(), Error> {
    let List { packages: listed } = toml::from_str(list)
        .map_err(|error| Error::invalid("bad-frozen-list", error.to_string()))?;
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for (id, package) in &packages.packages {
        let name = package.name.to_string();
        let is_final = package
            .name
            .version
            .as_ref()
            .is_some_and(|version| version.major > 0);
        let meaning = meaning(packages, id)?;
        match listed.get(&name) {
            Some(digest) if *digest == meaning => {}
            Some(digest) => wrong.push(format!(
                "{name} is frozen as {digest} and means {meaning} now: make a new version of it instead"
            )),
            None if is_final => wrong.push(format!(
                "{name} is not frozen: add it to wit/frozen.toml\n\"{name}\" = \"{meaning}\""
            )),
            None => {}
        }
        seen.push(name);
    }
    let gone = listed.keys().filter(|name| !seen.contains(name));
    wrong.extend(gone.map(|name| format!("{name} is frozen and gone: put it back")));
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::invalid("frozen", wrong.join("\n")))
}

/// A digest over what a package means: its names, types and their order, without comments.
fn meaning(packages: &Resolve, id: wit_parser::PackageId) -> Result<String, Error> {
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer
        .print(packages, id, &[])
        .map_err(|error| Error::internal("bad-contract", format!("{error:#}")))?;
    let digest = Sha256::digest(printer.output.to_string().as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256:{hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::resolve;

    fn packages(text: &str) -> Resolve {
        let mut resolve = Resolve::default();
        resolve.push_str("a.wit", text).unwrap();
        resolve
    }

    const ONE: &str =
        "package fleet:a@1.0.0;\ninterface i {\n  /// Says it.\n  f: func(x: u32) -> string;\n}\n";

    #[test]
    fn what_is_frozen_may_get_other_comments_and_nothing_else() {
        let error = check("", &packages(ONE)).unwrap_err();
        assert_eq!(error.code, "frozen");
        let line = error.message.lines().last().unwrap();
        let list = format!("[packages]\n{line}\n");
        check(&list, &packages(ONE)).unwrap();
        check(&list, &packages(&ONE.replace("Says it.", "Says more."))).unwrap();
        for (change, what) in [
            (ONE.replace("x: u32", "y: u32"), "make a new version"),
            (ONE.replace("u32", "u64"), "make a new version"),
            (ONE.replace("f: func", "g: func"), "make a new version"),
            (
                ONE.replace("}\n", "  g: func();\n}\n"),
                "make a new version",
            ),
            (ONE.replace("1.0.0", "1.0.1"), "is frozen and gone"),
        ] {
            let error = check(&list, &packages(&change)).unwrap_err();
            assert!(error.message.contains(what), "{change}\n{error}");
        }
        // Before 1.0.0 everything may change.
        check("", &packages(&ONE.replace("1.0.0", "0.9.0"))).unwrap();
        assert_eq!(
            check("[pakages]", &packages(ONE)).unwrap_err().code,
            "bad-frozen-list"
        );
    }

    #[test]
    fn the_contract_is_as_it_was_frozen() {
        let list = include_str!("../../../wit/frozen.toml");
        check(list, &resolve().unwrap()).unwrap();
    }
}
