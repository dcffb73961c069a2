//! Whether a spec can be accepted: every reason against it at once. Pure.

use std::collections::BTreeMap;

use fleet_model::expand::expand;
use fleet_model::plugin::Plugin;
use fleet_model::workload::WorkloadSpec;
use fleet_model::{Error, Name};
use serde_json::Value;

use crate::api::shorten;

/// More reasons than this help nobody.
const MAX_REASONS: usize = 20;

/// Prefixes of environment variables that the host sets itself.
const RESERVED: [&str; 2] = ["FLEET_", "PORT_"];

/// Judges what the host owns: command, environment, labels, and the variables in them.
pub(crate) fn spec(spec: &WorkloadSpec) -> Vec<Error> {
    let mut reasons = Vec::new();
    let variables: BTreeMap<_, _> = spec
        .ports
        .iter()
        .map(|(name, port)| (format!("PORT_{}", name.as_variable()), port.to_string()))
        .collect();
    for (index, argument) in spec.command.iter().enumerate() {
        let pointer = format!("/command/{index}");
        reasons.extend(text(argument, &variables).map(|reason| reason.with("pointer", pointer)));
    }
    for (name, value) in &spec.env {
        let pointer = format!("/env/{}", escape(name));
        reasons.extend(variable(name).map(|reason| reason.with("pointer", &pointer)));
        reasons.extend(text(value, &variables).map(|reason| reason.with("pointer", &pointer)));
    }
    if spec.labels.keys().any(|key| key.as_str().is_empty()) {
        reasons.push(
            Error::invalid("invalid-label", "a label key must not be empty")
                .with("pointer", "/labels/"),
        );
    }
    reasons.truncate(MAX_REASONS);
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

/// Judges the backend's own part against the schema its plugin published.
pub(crate) fn config(spec: &WorkloadSpec, plugin: &Plugin) -> Vec<Error> {
    let Some(schema) = &plugin.config_schema else {
        return match spec.config.is_empty() {
            true => Vec::new(),
            false => vec![unexpected_config(&spec.backend)],
        };
    };
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => {
            let message = format!(
                "backend `{}` publishes a config schema that is none ({}): mend the plugin",
                spec.backend,
                shorten(&error.to_string())
            );
            return vec![Error::unsupported("backend-schema", message)];
        }
    };
    let config = Value::Object(spec.config.clone());
    let reasons = validator
        .iter_errors(&config)
        .take(MAX_REASONS)
        .map(|error| {
            let pointer = format!("/config{}", error.instance_path());
            let message = format!(
                "{pointer}: {} (`fleet-host plugin show {}` has the schema)",
                shorten(&error.to_string()),
                spec.backend
            );
            Error::invalid("invalid-config", message).with("pointer", pointer)
        });
    reasons.collect()
}

fn unexpected_config(backend: &Name) -> Error {
    Error::invalid(
        "invalid-config",
        format!("backend `{backend}` takes no config: leave `config` out"),
    )
    .with("pointer", "/config")
}

/// A key as part of a JSON pointer (RFC 6901, section 3).
fn escape(key: &str) -> String {
    shorten(key).replace('~', "~0").replace('/', "~1")
}
