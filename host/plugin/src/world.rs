//! Whether a component is of a world this host serves, by the names of its imports and exports.
//!
//! Pure, and done before anything is compiled, so that the commonest mistakes of a plugin's author
//! are answered at once and in the author's words.

/// What a backend can export: package, interfaces, version.
const SERVED: (&str, &[&str], &str) = (
    "fleet:backend",
    &["driver", "exec", "input", "logs", "signals", "stats"],
    "0.1.0",
);
/// What every backend exports.
pub(crate) const DRIVER: &str = "fleet:backend/driver@0.1.0";
/// What a backend with logs exports.
pub(crate) const LOGS: &str = "fleet:backend/logs@0.1.0";
/// What a backend that takes commands exports.
pub(crate) const INPUT: &str = "fleet:backend/input@0.1.0";
/// What a backend exports that runs programs beside others.
pub(crate) const EXEC: &str = "fleet:backend/exec@0.1.0";
/// What a backend exports that tells what a runtime uses.
pub(crate) const STATS: &str = "fleet:backend/stats@0.1.0";
/// What a backend exports that sends signals.
pub(crate) const SIGNALS: &str = "fleet:backend/signals@0.1.0";

/// The interfaces a component can import: package, interfaces, version. Within one minor version
/// they are compatible.
const OFFERED: &[(&str, &[&str], &str)] = &[
    ("fleet:common", &["types"], "0.1.0"),
    (
        "fleet:host",
        &[
            "clock", "config", "endpoint", "handles", "lines", "log", "process", "sources",
        ],
        "0.1.0",
    ),
    ("wasi:cli", WASI_CLI, WASI),
    ("wasi:clocks", &["monotonic-clock", "wall-clock"], WASI),
    ("wasi:filesystem", &["preopens", "types"], WASI),
    ("wasi:io", &["error", "poll", "streams"], WASI),
    (
        "wasi:random",
        &["insecure", "insecure-seed", "random"],
        WASI,
    ),
    ("wasi:sockets", WASI_SOCKETS, WASI),
];
/// The newest that the engine knows.
const WASI: &str = "0.2.12";
const WASI_CLI: &[&str] = &[
    "environment",
    "exit",
    "stderr",
    "stdin",
    "stdout",
    "terminal-input",
    "terminal-output",
    "terminal-stderr",
    "terminal-stdin",
    "terminal-stdout",
];
const WASI_SOCKETS: &[&str] = &[
    "instance-network",
    "ip-name-lookup",
    "network",
    "tcp",
    "tcp-create-socket",
    "udp",
    "udp-create-socket",
];

/// How many names a reason lists.
const MAX_SHOWN: usize = 5;

/// Whether this host can serve such a component.
///
/// # Errors
/// The reason, naming what was found and what was expected.
pub(crate) fn check(imports: &[String], exports: &[String]) -> Result<(), String> {
    // A newer contract is told first: without it a new `driver` would be no driver, and a new `logs` would
    // be left away without a word.
    exports.iter().try_for_each(|export| served(export))?;
    if !exports.iter().any(|export| is_driver(export)) {
        return Err(format!(
            "a component of another world: exports {}, expected {DRIVER}: have its world export that, and implement it",
            shown(exports)
        ));
    }
    imports.iter().try_for_each(|import| known(import))
}

fn is_driver(export: &str) -> bool {
    let (package, _, newest) = SERVED;
    split(export).is_some_and(|(found, interface, version)| {
        found == package && interface == "driver" && track(version) == track(newest)
    })
}

/// Whether the host serves an export; what is of no contract of ours is nobody's business.
fn served(export: &str) -> Result<(), String> {
    match split(export) {
        Some((package, interface, version)) if package == SERVED.0 => {
            fits("exports", export, (interface, version), SERVED)
        }
        _ => Ok(()),
    }
}

fn known(import: &str) -> Result<(), String> {
    let Some((package, interface, version)) = split(import) else {
        return Err(format!(
            "imports `{}`, which is no interface of a package: a backend imports only fleet:host and wasi",
            clip(import)
        ));
    };
    let Some(offered) = OFFERED.iter().find(|(name, ..)| *name == package) else {
        let packages: Vec<&str> = OFFERED.iter().map(|(name, ..)| *name).collect();
        return Err(format!(
            "imports `{}`; this host offers only {}: build it without that import, or update the host",
            clip(import),
            packages.join(", ")
        ));
    };
    fits("imports", import, (interface, version), *offered)
}

/// Whether an interface is one of those that a package has here, in a compatible version.
fn fits(
    verb: &str,
    name: &str,
    (interface, version): (&str, &str),
    (package, interfaces, newest): (&str, &[&str], &str),
) -> Result<(), String> {
    if !interfaces.contains(&interface) {
        return Err(format!(
            "{verb} `{}`; of {package} this host has only {} (newest version: {newest}): build it for one of those, or update the host",
            clip(name),
            interfaces.join(", ")
        ));
    }
    if track(version) != track(newest) {
        return Err(format!(
            "{verb} `{}`; the newest {package}/{interface} this host has is {newest}: build it for that version, or update the host",
            clip(name)
        ));
    }
    Ok(())
}

/// `ns:package/interface@version` in its three parts.
fn split(import: &str) -> Option<(&str, &str, &str)> {
    let (path, version) = import.split_once('@')?;
    let (package, interface) = path.split_once('/')?;
    package
        .contains(':')
        .then_some((package, interface, version))
}

/// What two versions of an interface must share to be compatible: the major version, and below 1.0 the
/// minor one as well.
fn track(version: &str) -> Option<(&str, Option<&str>)> {
    let mut parts = version.split('.');
    let (major, minor, patch) = (parts.next()?, parts.next()?, parts.next()?);
    // A pre-release is compatible with nothing but itself, and this host has none.
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    let is_release = parts.next().is_none() && [major, minor, patch].into_iter().all(is_number);
    is_release.then_some((major, Some(minor).filter(|_| major == "0")))
}

fn shown(names: &[String]) -> String {
    let mut list: Vec<String> = names
        .iter()
        .take(MAX_SHOWN)
        .map(|name| clip(name))
        .collect();
    if names.len() > MAX_SHOWN {
        list.push(format!("{} more", names.len() - MAX_SHOWN));
    }
    if list.is_empty() {
        "nothing".to_owned()
    } else {
        list.join(", ")
    }
}

fn clip(name: &str) -> String {
    crate::convert::text(name.to_owned(), 120)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(imports: &[&str]) -> Result<(), String> {
        let imports: Vec<String> = imports.iter().map(|&import| import.to_owned()).collect();
        check(&imports, &[DRIVER.to_owned()])
    }

    #[test]
    fn known_imports_pass_in_every_compatible_version() {
        with(&[]).unwrap();
        with(&[
            "fleet:host/log@0.1.0",
            "fleet:host/log@0.1.7",
            "fleet:common/types@0.1.0",
        ])
        .unwrap();
        with(&[
            "wasi:io/streams@0.2.0",
            "wasi:io/streams@0.2.10",
            "wasi:cli/exit@0.2.6",
        ])
        .unwrap();
    }

    #[test]
    fn each_unknown_import_names_what_it_needs_and_what_there_is() {
        for (import, wants) in [
            (
                "fleet:host/log@0.2.0",
                &["fleet:host/log@0.2.0", "newest", "0.1.0"][..],
            ),
            ("fleet:host/log@0.1.0-rc.1", &["newest", "0.1.0"]),
            (
                "fleet:host/secret@0.1.0",
                &[
                    "fleet:host/secret@0.1.0",
                    "clock, config, endpoint, handles, lines, log",
                    "0.1.0",
                ],
            ),
            (
                "wasi:http/outgoing-handler@0.2.4",
                &["wasi:http", "offers only"],
            ),
            ("wasi:io/streams@0.3.0", &["newest wasi:io/streams", "0.2."]),
            ("env", &["`env`", "fleet:host"]),
        ] {
            let reason = with(&[import]).unwrap_err();
            assert!(wants.iter().all(|want| reason.contains(want)), "{reason}");
        }
    }

    #[test]
    fn an_export_of_a_newer_contract_is_told_and_not_left_away() {
        let with = |export: &str| check(&[], &[DRIVER.to_owned(), export.to_owned()]);
        with("fleet:backend/logs@0.1.0").unwrap();
        with("fleet:backend/logs@0.1.3").unwrap();
        check(&[], &["fleet:backend/driver@0.1.4".to_owned()]).unwrap();
        for (export, wants) in [
            (
                "fleet:backend/logs@0.2.0",
                &[
                    "exports `fleet:backend/logs@0.2.0`",
                    "newest fleet:backend/logs this host has is 0.1.0",
                    "update the host",
                ][..],
            ),
            (
                "fleet:backend/images@0.1.0",
                &[
                    "exports `fleet:backend/images@0.1.0`",
                    "driver, exec, input",
                    "0.1.0",
                ],
            ),
        ] {
            let reason = with(export).unwrap_err();
            assert!(wants.iter().all(|want| reason.contains(want)), "{reason}");
        }
        let reason = check(&[], &["fleet:backend/driver@1.0.0".to_owned()]).unwrap_err();
        assert!(
            reason.contains("newest fleet:backend/driver this host has is 0.1.0"),
            "{reason}"
        );
    }

    #[test]
    fn versions_of_one_track_are_compatible() {
        for (one, other, are_compatible) in [
            ("0.1.0", "0.1.7", true),
            ("0.1.0", "0.2.0", false),
            ("0.1.0", "1.1.0", false),
            ("1.0.0", "1.0.3", true),
            ("1.0.0", "1.4.2", true),
            ("1.4.2", "1.0.0", true),
            ("1.0.0", "2.0.0", false),
            ("10.0.0", "10.1.0", true),
            ("10.0.0", "1.0.0", false),
        ] {
            let are_same = track(one) == track(other);
            assert_eq!(are_same, are_compatible, "{one} {other}");
            assert!(track(one).is_some() && track(other).is_some());
        }
        for none in ["1", "1.0", "1.0.0-rc.1", "1.0.0.0", "1..0", "x.0.0", ""] {
            assert_eq!(track(none), None, "{none}");
        }
    }

    #[test]
    fn another_world_is_named() {
        let exports = ["wasi:cli/run@0.2.0".to_owned()];
        let reason = check(&[], &exports).unwrap_err();
        assert!(
            reason.contains("exports wasi:cli/run@0.2.0, expected fleet:backend/driver@0.1.0"),
            "{reason}"
        );
        assert!(check(&[], &[]).unwrap_err().contains("exports nothing"));
        // What is not ours is nobody's business.
        check(&[], &[DRIVER.to_owned(), "wasi:cli/run@0.2.0".to_owned()]).unwrap();
        let many: Vec<String> = (0..1_000_000).map(|n| format!("x{n}")).collect();
        assert!(check(&[], &many).unwrap_err().len() < 400);
    }
}
