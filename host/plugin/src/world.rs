//! Whether a component is of a world this host serves, by the names of its imports and exports.
//!
//! Pure, and done before anything is compiled, so that the commonest mistakes of a plugin's author
//! are answered at once and in the author's words.

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
    if !exports.iter().any(|export| export == DRIVER) {
        return Err(format!(
            "a component of another world: exports {}, expected {DRIVER}",
            shown(exports)
        ));
    }
    imports.iter().try_for_each(|import| known(import))
}

fn known(import: &str) -> Result<(), String> {
    let Some((package, interface, version)) = split(import) else {
        return Err(format!(
            "imports `{}`, which is no interface of a package: a backend imports only fleet:host and wasi",
            clip(import)
        ));
    };
    let Some((_, interfaces, newest)) = OFFERED.iter().find(|(name, ..)| *name == package) else {
        let packages: Vec<&str> = OFFERED.iter().map(|(name, ..)| *name).collect();
        return Err(format!(
            "imports `{}`; this host offers only {}: build it without that import, or update the host",
            clip(import),
            packages.join(", ")
        ));
    };
    if !interfaces.contains(&interface) {
        return Err(format!(
            "imports `{}`; of {package} this host has only {} (newest version: {newest}): build it for one of those, or update the host",
            clip(import),
            interfaces.join(", ")
        ));
    }
    if track(version) != track(newest) {
        return Err(format!(
            "imports `{}`; the newest {package}/{interface} this host has is {newest}: build it for that version, or update the host",
            clip(import)
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

/// What two versions of a 0.x interface must share to be compatible.
fn track(version: &str) -> Option<(&str, &str)> {
    let mut parts = version.split('.');
    let track = (parts.next()?, parts.next()?);
    // A pre-release is compatible with nothing but itself, and this host has none.
    let patch = parts.next()?;
    (!patch.is_empty() && patch.bytes().all(|c| c.is_ascii_digit()) && parts.next().is_none())
        .then_some(track)
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
    fn another_world_is_named() {
        let exports = ["wasi:cli/run@0.2.0".to_owned()];
        let reason = check(&[], &exports).unwrap_err();
        assert!(
            reason.contains("exports wasi:cli/run@0.2.0, expected fleet:backend/driver@0.1.0"),
            "{reason}"
        );
        assert!(check(&[], &[]).unwrap_err().contains("exports nothing"));
        let many: Vec<String> = (0..1_000_000).map(|n| format!("x{n}")).collect();
        assert!(check(&[], &many).unwrap_err().len() < 400);
    }
}
