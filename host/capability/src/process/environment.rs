//! What stands below a workload's own environment.
//!
//! A launcher for any program gives what a person's shell would: [`PERSONAL`] from the host's
//! environment. Any other gives a fixed `PATH`. Nothing else of the host's environment gets through.

use std::collections::BTreeMap;

use super::launcher::Launcher;

/// The `PATH` where nobody set one.
pub const PLAIN_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What a launcher for any program takes over from the host.
pub const PERSONAL: [&str; 6] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ"];

/// The variables a launcher gives; the request's own go over them.
#[must_use]
pub fn base(launcher: &Launcher) -> BTreeMap<String, String> {
    let mut base = BTreeMap::new();
    if launcher.any {
        for name in PERSONAL {
            if let Ok(value) = std::env::var(name) {
                base.insert(name.to_owned(), value);
            }
        }
    }
    base.entry("PATH".to_owned())
        .or_insert_with(|| PLAIN_PATH.to_owned());
    base
}

pub(crate) fn search_path(launcher: &Launcher) -> String {
    base(launcher).remove("PATH").unwrap_or_default()
}
