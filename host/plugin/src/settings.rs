//! What the `config` import answers: the manifest's defaults under the operator's values, checked
//! against the manifest's schema.

use serde_json::{Map, Value};

use crate::manifest::Manifest;
use crate::schema;

/// The settings of a plugin, as JSON.
///
/// # Errors
/// What does not fit the schema, and where it can be set right.
pub(crate) fn resolve(manifest: &Manifest, operator: Option<&Value>) -> Result<String, String> {
    let mut settings = manifest.settings.clone();
    match operator {
        None => {}
        Some(Value::Object(values)) => overlay(&mut settings, values),
        Some(other) => return Err(format!("its settings must be a table, not {other}")),
    }
    let settings = Value::Object(settings);
    if let Some(wanted) = &manifest.settings_schema {
        let validator = schema::compile(wanted).map_err(|error| {
            format!(
                "[settings-schema] in {}.toml is not a JSON Schema: {error}",
                manifest.name
            )
        })?;
        schema::check(&validator, &settings).map_err(|error| {
            format!(
                "its settings do not fit [settings-schema] in {}.toml: {error}",
                manifest.name
            )
        })?;
    }
    Ok(settings.to_string())
}

/// The operator's values win; tables are merged key by key.
fn overlay(settings: &mut Map<String, Value>, values: &Map<String, Value>) {
    for (key, value) in values {
        match (settings.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => overlay(below, above),
            _ => {
                settings.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest() -> Manifest {
        let text = r#"
            name = "a"
            kind = "backend"
            version = "1"
            [settings]
            depth = 1
            net = { host = "h", port = 1 }
            [settings-schema]
            type = "object"
            additionalProperties = false
            [settings-schema.properties]
            depth = { type = "integer", maximum = 9 }
            net = { type = "object" }
        "#;
        Manifest::parse("a.toml", text).unwrap()
    }

    #[test]
    fn the_operator_wins_key_by_key() {
        let json = resolve(&manifest(), Some(&json!({"depth": 2, "net": {"port": 7}}))).unwrap();
        let settings: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            settings,
            json!({"depth": 2, "net": {"host": "h", "port": 7}})
        );
    }

    #[test]
    fn what_does_not_fit_names_its_place() {
        for (values, want) in [
            (json!({"depth": 10}), "/depth"),
            (json!({"x": 1}), "'x'"),
            (json!(3), "a table"),
        ] {
            let error = resolve(&manifest(), Some(&values)).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}
