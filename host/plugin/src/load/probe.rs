//! The first call of a component: what it says it is must be what its manifest says.

use std::sync::Arc;

use fleet_model::driver::Description;

use crate::call::{Call, Callee};
use crate::convert::{from_guest, text};
use crate::gate::Gate;
use crate::manifest::Manifest;
use crate::schema;
use crate::state::Scope;

/// Asks a component what it is.
///
/// # Errors
/// Why it cannot be used.
pub(super) async fn describe(
    callee: &Callee,
    manifest: &Manifest,
    scope: &Arc<Scope>,
) -> Result<Description, String> {
    let ask = async {
        let place = callee.enter(scope).await?;
        let call = Call::look("describe");
        // Nothing takes the place of what does not serve.
        let gate = Gate::new();
        let answer = callee.driver(place, &gate, scope, call, |store, guest| {
            Box::pin(guest.call_describe(store))
        });
        from_guest::description(scope.intake(), answer.await?)
    };
    let mut description = ask.await.map_err(|error| {
        format!(
            "`describe` failed: {error}: mend it, and try it with `fleet-host plugin verify {}.wasm`",
            manifest.name
        )
    })?;
    description.attributes.extend(callee.template.offers());
    check(&description, manifest)?;
    Ok(description)
}

fn check(description: &Description, manifest: &Manifest) -> Result<(), String> {
    let file = format!("{}.toml", manifest.name);
    for (what, said, written) in [
        ("name", &description.name, &manifest.name.to_string()),
        ("version", &description.version, &manifest.version),
    ] {
        if said != written {
            return Err(format!(
                "`describe` says {what} `{}`, its manifest says `{written}`: make {file} and the component agree",
                text(said.clone(), 80)
            ));
        }
    }
    if !description.reads.contains(&description.handle_schema) {
        return Err(format!(
            "writes handle schema {}, which is not among those it reads ({:?}): it could not read its own handles",
            description.handle_schema, description.reads
        ));
    }
    schema::compile(&description.config_schema)
        .map_err(|error| format!("its config schema is not a JSON Schema: {error}: mend `config-schema` in `describe`; the least is {{\"type\": \"object\"}}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_component_must_be_what_its_manifest_says() {
        let manifest = Manifest::parse(
            "a.toml",
            "name = \"a\"\nkind = \"backend\"\nversion = \"1\"",
        )
        .unwrap();
        let good = Description {
            name: "a".into(),
            version: "1".into(),
            handle_schema: 2,
            reads: vec![1, 2],
            config_schema: json!({"type": "object"}),
            attributes: BTreeMap::new(),
        };
        check(&good, &manifest).unwrap();
        for (description, want) in [
            (
                Description {
                    name: "b".into(),
                    ..good.clone()
                },
                "says name `b`",
            ),
            (
                Description {
                    version: "2".into(),
                    ..good.clone()
                },
                "says version `2`",
            ),
            (
                Description {
                    reads: vec![1],
                    ..good.clone()
                },
                "handle schema 2",
            ),
            (
                Description {
                    config_schema: json!({"type": 3}),
                    ..good.clone()
                },
                "not a JSON Schema",
            ),
        ] {
            let reason = check(&description, &manifest).unwrap_err();
            assert!(reason.contains(want), "{reason}");
        }
    }
}
