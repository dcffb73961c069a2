//! Whether a JSON Schema leaves nothing open.
//!
//! Every place must say what may stand there: an engine behind the host may give a meaning to
//! whatever a schema forgot. So only keywords whose meaning is looked at here are known, objects and
//! arrays and texts must be bounded, and patterns must fit the whole text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Where the schemas are that others refer to.
const SHARED: &str = "#/schemas/";

/// Of no consequence.
const NOTES: [&str; 2] = ["title", "description"];
/// Of any type.
const CHOICES: [&str; 2] = ["anyOf", "oneOf"];

/// Checks a schema.
///
/// # Errors
/// The place of what is open, and how to close it.
pub(crate) fn check(schema: &Value, shared: &BTreeSet<&str>) -> Result<(), String> {
    at("", schema, shared)
}

/// Checks that no shared schema leads back to itself: such a one has no bound.
///
/// # Errors
/// The name of one that does.
pub(crate) fn check_circles(shared: &BTreeMap<String, Value>) -> Result<(), String> {
    shared
        .keys()
        .find(|name| leads_to(name, name, shared, &mut BTreeSet::new()))
        .map_or(Ok(()), |name| {
            Err(format!("the schema `{name}` leads back to itself"))
        })
}

fn leads_to<'s>(
    from: &str,
    to: &str,
    shared: &'s BTreeMap<String, Value>,
    seen: &mut BTreeSet<&'s str>,
) -> bool {
    let mut found = Vec::new();
    if let Some(schema) = shared.get(from) {
        references(schema, &mut found);
    }
    found
        .into_iter()
        .any(|name| name == to || (seen.insert(name) && leads_to(name, to, shared, seen)))
}

fn references<'s>(value: &'s Value, found: &mut Vec<&'s str>) {
    match value {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str);
            found.extend(name.and_then(|name| name.strip_prefix(SHARED)));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn at(place: &str, schema: &Value, shared: &BTreeSet<&str>) -> Result<(), String> {
    let wrong = |what: String| {
        let place = if place.is_empty() { "/" } else { place };
        Err(format!("{place}: {what}"))
    };
    let Value::Object(schema) = schema else {
        return wrong(
            "a schema must be a table: `true` and the like leave everything open".to_owned(),
        );
    };
    if let Some(reference) = schema.get("$ref") {
        let name = reference
            .as_str()
            .and_then(|name| name.strip_prefix(SHARED));
        return match name {
            Some(name) if shared.contains(name) => only(place, schema, &["$ref"]),
            _ => wrong(format!(
                "`$ref` must be `{SHARED}NAME` with a NAME of [schemas]"
            )),
        };
    }
    for word in CHOICES {
        if let Some(choices) = schema.get(word) {
            let Some(choices) = choices.as_array().filter(|choices| !choices.is_empty()) else {
                return wrong(format!("`{word}` must be a list of schemas"));
            };
            for (number, choice) in choices.iter().enumerate() {
                at(&format!("{place}/{word}/{number}"), choice, shared)?;
            }
            return only(place, schema, &[word]);
        }
    }
    if schema.contains_key("enum") || schema.contains_key("const") {
        return only(place, schema, &["enum", "const", "type"]);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => object(place, schema, shared),
        Some("array") => array(place, schema, shared),
        Some("string") => text(place, schema),
        Some("integer" | "number") => only(place, schema, &["type", "minimum", "maximum"]),
        Some("boolean" | "null") => only(place, schema, &["type"]),
        _ => wrong(
            "say a `type` (object, array, string, integer, number, boolean, null), or `enum`, `const`, `anyOf`, `oneOf` or `$ref`"
                .to_owned(),
        ),
    }
}

fn object(place: &str, schema: &Map<String, Value>, shared: &BTreeSet<&str>) -> Result<(), String> {
    only(
        place,
        schema,
        &[
            "type",
            "properties",
            "required",
            "additionalProperties",
            "patternProperties",
            "propertyNames",
            "minProperties",
            "maxProperties",
        ],
    )?;
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err(format!(
            "{place}/: an object must have `additionalProperties = false`"
        ));
    }
    let none = Map::new();
    let members = |word: &str| match schema.get(word) {
        None => Ok(&none),
        Some(Value::Object(members)) => Ok(members),
        Some(_) => Err(format!("{place}/{word}: it must be a table of schemas")),
    };
    for (name, member) in members("properties")? {
        at(&format!("{place}/properties/{name}"), member, shared)?;
    }
    let free = members("patternProperties")?;
    for (pattern, member) in free {
        whole(&format!("{place}/patternProperties"), pattern)?;
        at(
            &format!("{place}/patternProperties/{pattern}"),
            member,
            shared,
        )?;
    }
    if let Some(names) = schema.get("propertyNames") {
        at(&format!("{place}/propertyNames"), names, shared)?;
    }
    if !free.is_empty() && !schema.contains_key("maxProperties") {
        return Err(format!(
            "{place}/: an object with `patternProperties` must have `maxProperties`"
        ));
    }
    Ok(())
}

fn array(place: &str, schema: &Map<String, Value>, shared: &BTreeSet<&str>) -> Result<(), String> {
    only(
        place,
        schema,
        &["type", "items", "minItems", "maxItems", "uniqueItems"],
    )?;
    match (schema.get("items"), schema.get("maxItems")) {
        (Some(items), Some(_)) => at(&format!("{place}/items"), items, shared),
        _ => Err(format!(
            "{place}/: an array must have `items` and `maxItems`"
        )),
    }
}

fn text(place: &str, schema: &Map<String, Value>) -> Result<(), String> {
    only(
        place,
        schema,
        &["type", "minLength", "maxLength", "pattern", "not"],
    )?;
    if let Some(not) = schema.get("not") {
        let pattern = not.as_object().filter(|not| not.len() == 1);
        if !pattern.is_some_and(|not| not.get("pattern").is_some_and(Value::is_string)) {
            return Err(format!(
                "{place}/not: it must be `{{ pattern = ... }}`, what no text may have"
            ));
        }
    }
    match schema.get("pattern").map(Value::as_str) {
        None if schema.contains_key("maxLength") => Ok(()),
        None => Err(format!(
            "{place}/: a string must have `maxLength` or a `pattern`"
        )),
        Some(Some(pattern)) => whole(place, pattern),
        Some(None) => Err(format!("{place}/: `pattern` must be a text")),
    }
}

fn whole(place: &str, pattern: &str) -> Result<(), String> {
    let inner = pattern.strip_prefix('^').and_then(|p| p.strip_suffix('$'));
    match inner {
        Some(inner) if is_one(inner) => Ok(()),
        _ => Err(format!(
            "{place}/: the pattern `{pattern}` must fit the whole text: begin it with ^, end it with $, put choices (a|b) in brackets, and set no flags (?m)"
        )),
    }
}

/// Whether the signs around a pattern hold for all of it. `^a|b$` begins and ends so and fits the begin
/// or the end of a text, and by `(?m)` a line is enough.
fn is_one(pattern: &str) -> bool {
    let (mut depth, mut is_class, mut is_escaped) = (0_usize, false, false);
    let mut signs = pattern.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ']' => is_class = false,
            _ if is_class => {}
            '[' => is_class = true,
            '(' => {
                depth += 1;
                if signs.next_if_eq(&'?').is_some() && signs.next_if_eq(&':').is_none() {
                    return false;
                }
            }
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return false,
            _ => {}
        }
    }
    !is_escaped
}

fn only(place: &str, schema: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    let strange = schema
        .keys()
        .find(|key| !known.contains(&key.as_str()) && !NOTES.contains(&key.as_str()));
    match strange {
        None => Ok(()),
        Some(key) => Err(format!(
            "{place}/{key}: not known here; there are {}",
            known.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_closed_passes() {
        for schema in [
            json!({"type": "object", "additionalProperties": false}),
            json!({"type": "object", "additionalProperties": false, "required": ["a"], "properties": {
                "a": {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 3}},
                "b": {"type": "string", "pattern": "^(a|[b|(?]|\\|\\(?)(?:x)$"}, "c": {"$ref": "#/schemas/s"},
                "d": {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 0}]}, "e": {"const": null},
            }}),
            json!({"type": "string", "maxLength": 3, "not": {"pattern": "^a"}}),
            json!({"type": "object", "additionalProperties": false, "maxProperties": 3,
                "propertyNames": {"type": "string", "maxLength": 9, "not": {"pattern": "^a"}},
                "patternProperties": {"^.+$": {"type": "null"}}}),
            json!({"type": "object", "additionalProperties": false, "maxProperties": 3,
                "patternProperties": {"^x$": {"enum": [1, "a"]}}}),
        ] {
            check(&schema, &BTreeSet::from(["s"])).unwrap();
        }
    }

    #[test]
    fn what_is_open_is_named() {
        let object = |members: Value| json!({"type": "object", "additionalProperties": false, "properties": members});
        for (schema, want) in [
            (json!(true), "/: a schema must be a table"),
            (json!({}), "say a `type`"),
            (json!({"type": "object"}), "additionalProperties = false"),
            (
                json!({"type": "object", "additionalProperties": true}),
                "additionalProperties = false",
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "null"}}),
                "additionalProperties = false",
            ),
            (object(json!({"a": {}})), "/properties/a: say a `type`"),
            (
                object(json!({"a": {"type": ["string", "object"]}})),
                "/properties/a: say a `type`",
            ),
            (
                object(json!({"a": {"type": "array", "maxItems": 1, "items": {"type": "object"}}})),
                "/properties/a/items/: an object must",
            ),
            (
                json!({"type": "array", "items": {"type": "null"}}),
                "`maxItems`",
            ),
            (json!({"type": "array", "maxItems": 1}), "`items`"),
            (json!({"type": "string"}), "`maxLength`"),
            (json!({"type": "string", "pattern": "a"}), "whole text"),
            (json!({"type": "string", "pattern": "^a|b$"}), "whole text"),
            (json!({"type": "string", "pattern": "^a\\$"}), "whole text"),
            (
                json!({"type": "string", "pattern": "^(?m)a$"}),
                "whole text",
            ),
            (
                json!({"type": "string", "pattern": "^(?m:a)$"}),
                "whole text",
            ),
            (
                json!({"anyOf": [{"type": "object"}]}),
                "/anyOf/0/: an object",
            ),
            (json!({"anyOf": [], "type": "null"}), "list of schemas"),
            (json!({"$ref": "#/schemas/none"}), "[schemas]"),
            (json!({"$ref": "http://x/"}), "[schemas]"),
            (json!({"not": {"type": "null"}}), "say a `type`"),
            (
                json!({"type": "string", "maxLength": 3, "not": {"maxLength": 1}}),
                "what no text may have",
            ),
            (
                json!({"type": "string", "not": {"pattern": "^a"}}),
                "`maxLength` or a `pattern`",
            ),
            (
                json!({"type": "object", "additionalProperties": false, "propertyNames": {"type": "string"}}),
                "`maxLength` or a `pattern`",
            ),
            (json!({"type": "null", "if": {}}), "/if: not known here"),
            (
                json!({"type": "object", "additionalProperties": false, "patternProperties": {"^a$": {"type": "null"}}}),
                "`maxProperties`",
            ),
            (
                json!({"type": "object", "additionalProperties": false, "maxProperties": 1, "patternProperties": {"a": {"type": "null"}}}),
                "whole text",
            ),
        ] {
            let error = check(&schema, &BTreeSet::new()).unwrap_err();
            assert!(error.contains(want), "{error}\nwanted {want}");
        }
    }

    #[test]
    fn circles_are_found() {
        let shared =
            |a: Value, b: Value| BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        let to = |name: &str| json!({"anyOf": [{"$ref": format!("#/schemas/{name}")}]});
        check_circles(&shared(to("b"), json!({"type": "null"}))).unwrap();
        check_circles(&shared(to("b"), to("a"))).unwrap_err();
        check_circles(&shared(to("a"), json!({}))).unwrap_err();
    }
}
