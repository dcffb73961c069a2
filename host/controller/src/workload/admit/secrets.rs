//! Whether the secrets that a spec names are there. What is in them nobody looks at.

use fleet_model::spec::FileContent;
use fleet_model::workload::WorkloadSpec;
use fleet_model::{Error, Name};

use super::{MAX_REASONS, at, escape};
use crate::state::ControllerState;

pub(crate) fn secrets(spec: &WorkloadSpec, state: &ControllerState) -> Vec<Error> {
    let env = spec.env.iter().filter_map(|(name, value)| {
        let secret = value.secret()?;
        Some((format!("/env/{}/secret", escape(name)), secret))
    });
    let files = spec
        .files
        .iter()
        .filter_map(|(path, file)| match &file.content {
            FileContent::Secret(secret) => {
                Some((format!("/files/{}/secret", escape(path)), secret))
            }
            FileContent::Text(_) | FileContent::Base64(_) => None,
        });
    env.chain(files)
        .filter(|(_, secret)| !state.secrets.contains(*secret))
        .take(MAX_REASONS)
        .map(|(pointer, secret)| at(pointer, no_secret(secret)))
        .collect()
}

fn no_secret(name: &Name) -> Error {
    Error::invalid(
        "no-secret",
        format!("there is no secret `{name}`: set it with `fleet-host secret set {name}`"),
    )
    .with("secret", name)
}
