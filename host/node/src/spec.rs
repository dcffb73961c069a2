//! From an intent to what a backend is asked to make.

use std::collections::BTreeMap;

use fleet_model::driver::{Wanted, Workload};
use fleet_model::expand::expand;
use fleet_model::spec::EnvValue;
use fleet_model::workload::WorkloadIntent;
use fleet_model::{Error, Name, WorkloadId};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::ports;
use crate::state::{Record, Run};

/// The workload with every value final: ports chosen, `$(...)` expanded, `FLEET_*` and `PORT_*` set.
///
/// # Errors
/// `invalid` for a variable that stands for nothing.
pub(crate) fn workload(
    context: &Context,
    record: &Record,
    run: &Run,
    intent: &WorkloadIntent,
    wanted: Wanted,
) -> Result<Workload, Error> {
    let id: WorkloadId =
        record
            .item
            .id
            .key
            .parse()
            .map_err(|error: fleet_model::id::ParseIdError| {
                Error::internal("workload-id", error.to_string())
            })?;
    let spec = &intent.spec;
    let port_variables = record
        .ports
        .iter()
        .map(|(name, host)| {
            let inside = spec
                .ports
                .get(name)
                .copied()
                .filter(|inside| *inside != 0)
                .unwrap_or(*host);
            (format!("PORT_{}", name.as_variable()), inside.to_string())
        })
        .collect::<BTreeMap<_, _>>();
    let command = spec
        .command
        .iter()
        .map(|part| expand(part, &port_variables))
        .collect::<Result<_, _>>()?;
    let mut env = spec
        .env
        .iter()
        .map(|(name, value)| {
            let value = match value {
                EnvValue::Text(text) => expand(text, &port_variables)?,
                EnvValue::Secret { secret } => placeholder(id, secret),
            };
            Ok((name.clone(), value))
        })
        .collect::<Result<BTreeMap<_, _>, Error>>()?;
    env.extend(port_variables);
    env.insert("FLEET_WORKLOAD_ID".to_owned(), id.to_string());
    env.insert("FLEET_WORKLOAD_NAME".to_owned(), intent.name.to_string());
    env.insert("FLEET_NODE".to_owned(), context.name.clone());
    env.insert("FLEET_GENERATION".to_owned(), run.generation.to_string());
    Ok(Workload {
        id,
        name: intent.name.clone(),
        node: context.node,
        generation: run.generation,
        command,
        env,
        ports: ports::describe(&spec.ports, &record.ports),
        labels: spec
            .labels
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
        config: serde_json::Value::Object(spec.config.clone()),
        secrets: spec
            .env
            .values()
            .filter_map(EnvValue::secret)
            .map(|secret| (placeholder(id, secret), secret.clone()))
            .collect(),
        limits: spec.limits.clone(),
        wanted,
    })
}

/// What stands where a secret's value belongs. The same each time, so that an op asks for the same
/// thing when it is repeated; nobody writes it by chance.
fn placeholder(workload: WorkloadId, secret: &Name) -> String {
    let digest = Sha256::new()
        .chain_update(workload.to_string())
        .chain_update([0])
        .chain_update(secret.as_str())
        .finalize();
    let tag: String = digest
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("<fleet-secret:{secret}:{tag}>")
}
