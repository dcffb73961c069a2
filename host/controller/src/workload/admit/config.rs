//! The backend's own part of a spec, judged by the schema that its plugin published.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_model::plugin::Plugin;
use fleet_model::workload::WorkloadSpec;
use fleet_model::{Error, Name};
use jsonschema::Validator;
use serde_json::Value;

use super::{MAX_REASONS, at};
use crate::api::shorten;

/// Schemas kept compiled, at most: those that were compiled last.
const KEPT: usize = 64;

/// Schemas, compiled once: that takes longer than all the rest of an admission.
#[derive(Default)]
pub(crate) struct Schemas(Mutex<VecDeque<Compiled>>);

/// One of them.
struct Compiled {
    /// The plugin it came with.
    digest: String,
    /// As it was published. A digest is a node's word, so what it stands for is compared.
    schema: Value,
    validator: Arc<Validator>,
}

impl Schemas {
    /// Judges the backend's own part against the schema its plugin published.
    pub(crate) fn judge(&self, spec: &WorkloadSpec, plugin: &Plugin) -> Vec<Error> {
        let Some(schema) = &plugin.config_schema else {
            return match spec.config.is_empty() {
                true => Vec::new(),
                false => vec![unexpected_config(&spec.backend)],
            };
        };
        let validator = match self.compiled(plugin.digest.as_deref(), schema) {
            Ok(validator) => validator,
            Err(why) => {
                let message = format!(
                    "backend `{}` publishes a config schema that is none ({why}): mend the plugin",
                    spec.backend
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
                    "{pointer}: {} (`fleet-host plugin show {} --output json` has the schema)",
                    shorten(&error.to_string()),
                    spec.backend
                );
                at(pointer, Error::invalid("invalid-config", message))
            });
        reasons.collect()
    }

    fn compiled(&self, digest: Option<&str>, schema: &Value) -> Result<Arc<Validator>, String> {
        let Some(digest) = digest else {
            return compile(schema);
        };
        let known = |known: &&Compiled| known.digest == digest && known.schema == *schema;
        if let Some(known) = self.lock().iter().find(known) {
            return Ok(known.validator.clone());
        }
        let validator = compile(schema)?;
        let mut kept = self.lock();
        // Two nodes may mean different schemas by one digest: then the last one is kept.
        kept.retain(|known| known.digest != digest);
        kept.truncate(KEPT - 1);
        kept.push_front(Compiled {
            digest: digest.to_owned(),
            schema: schema.clone(),
            validator: validator.clone(),
        });
        Ok(validator)
    }

    /// Every holder leaves the list whole, so a panic elsewhere does no harm.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Compiled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compile(schema: &Value) -> Result<Arc<Validator>, String> {
    jsonschema::validator_for(schema)
        .map(Arc::new)
        .map_err(|error| shorten(&error.to_string()))
}

fn unexpected_config(backend: &Name) -> Error {
    let message = format!("backend `{backend}` takes no config: leave `config` out");
    at("/config", Error::invalid("invalid-config", message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_compiled_once_and_another_under_its_digest_is_not_taken_for_it() {
        let schemas = Schemas::default();
        let (one, other) = (json!({"type": "object"}), json!({"type": "string"}));
        let get = |digest: Option<&str>, schema: &Value| schemas.compiled(digest, schema).unwrap();
        let first = get(Some("a"), &one);
        assert!(Arc::ptr_eq(&first, &get(Some("a"), &one)));
        assert!(get(Some("a"), &other).is_valid(&json!("x")));
        assert!(!get(Some("a"), &one).is_valid(&json!("x")));
        assert!(!Arc::ptr_eq(&get(None, &one), &get(None, &one)));
        for digest in 0..200 {
            get(Some(&digest.to_string()), &one);
        }
        assert_eq!(schemas.lock().len(), KEPT);
        let newest = get(Some("199"), &one);
        assert!(Arc::ptr_eq(&newest, &get(Some("199"), &one)));
    }
}
