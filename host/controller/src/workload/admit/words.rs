//! Command, environment, labels, and the variables in them.

use std::collections::BTreeMap;

use fleet_model::Error;
use fleet_model::expand::expand;
use fleet_model::workload::WorkloadSpec;

use super::{at, escape};
use crate::api::shorten;

/// Prefixes of environment variables that the host sets itself.
const RESERVED: [&str; 2] = ["FLEET_", "PORT_"];

pub(super) fn judge(spec: &WorkloadSpec) -> Vec<Error> {
    let mut reasons = Vec::new();
    let variables: BTreeMap<_, _> = spec
        .ports
        .iter()
        .map(|(name, port)| (format!("PORT_{}", name.as_variable()), port.to_string()))
        .collect();
    for (index, argument) in spec.command.iter().enumerate() {
        let reason = text(argument, &variables);
        reasons.extend(reason.map(|reason| at(format!("/command/{index}"), reason)));
    }
    for (name, value) in &spec.env {
        let pointer = format!("/env/{}", escape(name));
        let reason = variable(name);
        reasons.extend(reason.map(|reason| at(&pointer, reason)));
        let reason = value.text().and_then(|value| text(value, &variables));
        reasons.extend(reason.map(|reason| at(&pointer, reason)));
    }
    if spec.labels.keys().any(|key| key.as_str().is_empty()) {
        let reason = Error::invalid("invalid-label", "a label key must not be empty");
        reasons.push(at("/labels/", reason));
    }
    reasons
}

/// A command argument or an environment value.
fn text(text: &str, variables: &BTreeMap<String, String>) -> Option<Error> {
    if text.contains('\0') {
        return Some(Error::invalid(
            "nul-byte",
            "commands and environment values cannot hold a NUL byte: take it out",
        ));
    }
    expand(text, variables).err().map(|mut error| {
        error.message = shorten(&error.message);
        error
    })
}

/// The name of an environment variable.
fn variable(name: &str) -> Option<Error> {
    if name.is_empty() || name.contains(['=', '\0']) {
        let shown = shorten(&name.escape_default().to_string());
        return Some(Error::invalid(
            "invalid-env-name",
            format!(
                "`{shown}` is no name of an environment variable: it must not be empty nor hold `=` or a NUL byte"
            ),
        ));
    }
    reserved(name)
}

/// Why a program cannot be given a variable of this name: it is the host's own.
pub(crate) fn reserved(name: &str) -> Option<Error> {
    let reserved = RESERVED
        .into_iter()
        .find(|prefix| name.starts_with(prefix))?;
    Some(Error::invalid(
        "reserved-env-name",
        format!(
            "`{}` is reserved: the host sets the variables that begin with {reserved} itself; take another name",
            shorten(name)
        ),
    ))
}
