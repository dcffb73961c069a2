//! The contract as a page: every package, interface, type and function this host serves, from the WIT it was
//! built with.

mod types;

use std::fmt::Write;

use fleet_model::Error;
use wit_parser::{Function, Interface, Package, Resolve, WorldItem, WorldKey};

use crate::embedded::{File, WIT};
use types::{definition, name_of};

/// What stands above the packages.
const HEAD: &str = "\
# The contract, item by item

What a plugin offers (`fleet:backend`) and what the host offers a plugin (`fleet:host`), generated from `wit/`: the page
is written by `fleet-host plugin contract`. [The contract](contract.md) has the rules, [Compatibility](compatibility.md) says what may change.
";

/// The packages in the order of a page: what a plugin's author looks for first.
const ORDER: [&str; 3] = ["backend", "host", "common"];

/// The page, as Markdown.
///
/// # Errors
/// `internal` (`bad-contract`): this program was built with a contract that is none.
pub fn page() -> Result<String, Error> {
    let resolve = resolve()?;
    let mut text = HEAD.to_owned();
    for wanted in ORDER {
        let found = resolve
            .packages
            .iter()
            .filter(|(_, package)| package.name.name == wanted);
        for (_, package) in found {
            write_package(&mut text, &resolve, package);
        }
    }
    Ok(text)
}

/// The contract, parsed.
pub(crate) fn resolve() -> Result<Resolve, Error> {
    let bad = |error: &dyn std::fmt::Display| Error::internal("bad-contract", format!("{error:#}"));
    let mut resolve = Resolve::default();
    for (path, text) in in_order(WIT)? {
        resolve.push_str(path, text).map_err(|error| bad(&error))?;
    }
    Ok(resolve)
}

/// The files with those first that others are made of.
fn in_order(files: &[File]) -> Result<Vec<&File>, Error> {
    let place = |file: &File| {
        let package = file.0.split('/').next();
        ORDER
            .iter()
            .rev()
            .position(|wanted| package == Some(*wanted))
    };
    if let Some((path, _)) = files.iter().find(|file| place(file).is_none()) {
        let message = format!(
            "wit/{path} is of none of the packages {}: give it a place among them",
            ORDER.join(", ")
        );
        return Err(Error::internal("bad-contract", message));
    }
    let mut sorted: Vec<&File> = files.iter().collect();
    sorted.sort_by_key(|file| place(file));
    Ok(sorted)
}

fn write_package(text: &mut String, resolve: &Resolve, package: &Package) {
    line(text, &format!("\n## {}\n", package.name));
    docs(text, package.docs.contents.as_deref());
    for (name, id) in &package.worlds {
        if let Some(world) = resolve.worlds.get(*id) {
            line(
                text,
                &format!(
                    "\n**World `{name}`.** {}",
                    one_line(world.docs.contents.as_deref())
                ),
            );
            let exports = world
                .exports
                .iter()
                .map(|(key, item)| item_name(resolve, key, item));
            line(
                text,
                &format!("Exports: {}.", exports.collect::<Vec<_>>().join(", ")),
            );
        }
    }
    for (name, id) in &package.interfaces {
        if let Some(interface) = resolve.interfaces.get(*id) {
            line(
                text,
                &format!(
                    "\n### {}:{}/{name}\n",
                    package.name.namespace, package.name.name
                ),
            );
            write_interface(text, resolve, interface);
        }
    }
}

fn write_interface(text: &mut String, resolve: &Resolve, interface: &Interface) {
    docs(text, interface.docs.contents.as_deref());
    let types: Vec<String> = interface
        .types
        .iter()
        .filter_map(|(name, id)| definition(resolve, interface, name, *id))
        .collect();
    if !types.is_empty() {
        line(text, &format!("\n```wit\n{}\n```", types.join("\n\n")));
    }
    let mut functions = interface.functions.values().peekable();
    if functions.peek().is_some() {
        line(text, "\n| function | |\n|---|---|");
    }
    for function in functions {
        let about = one_line(function.docs.contents.as_deref());
        line(
            text,
            &format!(
                "| `{}` | {} |",
                signature(resolve, function),
                about.replace('|', "\\|")
            ),
        );
    }
}

/// `create(op: op, workload: workload) -> result<creation, error>`.
fn signature(resolve: &Resolve, function: &Function) -> String {
    let params = function.params.iter();
    let params = params.map(|param| format!("{}: {}", param.name, name_of(resolve, &param.ty)));
    let params = params.collect::<Vec<_>>().join(", ");
    let result = function.result.as_ref();
    let result = result.map(|ty| format!(" -> {}", name_of(resolve, ty)));
    format!("{}({params}){}", function.name, result.unwrap_or_default())
}

fn item_name(resolve: &Resolve, key: &WorldKey, item: &WorldItem) -> String {
    match item {
        WorldItem::Interface { id, .. } => {
            let interface = resolve.interfaces.get(*id);
            let name = interface.and_then(|interface| interface.name.clone());
            format!("`{}`", name.unwrap_or_default())
        }
        _ => format!("`{}`", resolve.name_world_key(key)),
    }
}

fn docs(text: &mut String, docs: Option<&str>) {
    if let Some(docs) = docs {
        line(text, docs.trim());
    }
}

fn one_line(docs: Option<&str>) -> String {
    let docs = docs.unwrap_or_default();
    docs.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_package_is_left_out_of_the_contract() {
        let files = [
            ("host/0.1.0/a.wit", ""),
            ("backend/0.1.0/b.wit", ""),
            ("common/0.1.0/c.wit", ""),
        ];
        let names: Vec<&str> = in_order(&files)
            .unwrap()
            .iter()
            .map(|(path, _)| *path)
            .collect();
        assert_eq!(
            names,
            [
                "common/0.1.0/c.wit",
                "host/0.1.0/a.wit",
                "backend/0.1.0/b.wit"
            ]
        );
        for stranger in ["network/0.1.0/n.wit", "hosts/0.1.0/h.wit"] {
            let error = in_order(&[files[0], (stranger, "")]).unwrap_err();
            assert_eq!(error.code, "bad-contract");
            assert!(error.message.contains(stranger), "{error}");
        }
        assert_eq!(in_order(WIT).unwrap().len(), WIT.len());
    }

    #[test]
    fn the_page_has_every_interface_type_and_function() {
        let page = page().unwrap();
        for part in [
            "\n## fleet:backend@0.1.0\n",
            "\n### fleet:backend/driver\n",
            "\n### fleet:host/process\n",
            "| `create(op: op, workload: workload) -> result<creation, error>` | Makes a runtime that `start` can start.",
            "| `watch(handle: handle) -> result<option<source>, error>` |",
            "\nresource source",
            "\nvariant run-state {",
            "    exited(exit),",
            "\nenum error-kind {",
            "    env: list<tuple<string, string>>,",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        let resolve = resolve().unwrap();
        for (_, interface) in &resolve.interfaces {
            for name in interface.functions.keys() {
                assert!(page.contains(&format!("| `{name}(")), "{name}");
            }
        }
        // A used type is told where it is made.
        assert_eq!(page.matches("record handle {").count(), 1);
    }
}
