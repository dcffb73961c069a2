//! What stands below a workload's own environment.
//!
//! A launcher for any program gives what a person's shell would: [`PERSONAL`] from the host's
//! environment, and a virtual environment of the workspace. Any other gives a fixed `PATH`. Nothing
//! else of the host's environment gets through.
//!
//! Over it all the host sets `FLEET_TRY`, by which it finds what belongs to a program.

use std::collections::BTreeMap;

use fleet_model::{Error, Name};

use super::launcher::Launcher;
use super::record::RequestRecord;
use super::{marker, program};
use crate::secret::SecretValue;
use crate::secret::fill::Filler;
use crate::secret::wire::Carried;

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

/// Where a program is looked for: what the request sets, else what stands below it.
pub(crate) fn search_path<'a>(
    base: &'a BTreeMap<String, String>,
    env: &'a BTreeMap<String, String>,
) -> &'a str {
    let path = env.get("PATH").or_else(|| base.get("PATH"));
    path.map_or(PLAIN_PATH, String::as_str)
}

/// The program's whole environment, with the values of its secrets.
pub(crate) fn whole(
    record: &RequestRecord,
    values: &BTreeMap<Name, SecretValue>,
) -> Result<BTreeMap<String, Carried>, Error> {
    let plain = |text: &str| Carried(SecretValue::new(text.as_bytes().to_vec()));
    let mut env: BTreeMap<String, Carried> = record
        .base_env
        .iter()
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect();
    let filler = Filler::new(&record.request.secrets, values)?;
    for (name, text) in &record.request.env {
        let value = filler.fill(text);
        program::check_size(name, value.expose().len())?;
        env.insert(name.clone(), Carried(value));
    }
    env.extend(
        record
            .marker
            .iter()
            .map(|mark| (marker::NAME.to_owned(), plain(mark.value()))),
    );
    Ok(env)
}
