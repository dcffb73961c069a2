//! From a policy as it is written to one that can be used: everything a rule names is looked up here,
//! so that nothing can be missing when a request is decided on.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use regex::Regex;
use serde_json::Value;
use toml::Spanned;

use super::file::{File, LimitsTable, TextTable};
use super::rule::rule;
use super::{Action, AtOnce, Bounds, Effect, Policy, Rule, Sort, closed};
use crate::endpoint::framing::{self, Framing};
use crate::endpoint::pointer::Pointer;

/// The format this host reads.
const SCHEMA: u32 = 1;

pub(super) const TIMEOUT_MS: RangeInclusive<u64> = 1..=120_000;
pub(super) const BYTES: RangeInclusive<u64> = 1..=(64 << 20);
pub(super) const DEPTH: RangeInclusive<u64> = 1..=100;
const AT_ONCE: RangeInclusive<u64> = 1..=10_000;

/// Reads and checks.
pub(super) fn read(file: &str, text: &str) -> Result<Policy, String> {
    let place = Place { file, text };
    let read: File = toml::from_str(text).map_err(|error| {
        let message = error.message().trim_end().replace('\n', "; ");
        match error.span() {
            Some(span) => place.at(span.start, &message),
            None => format!("{file}: {message}"),
        }
    })?;
    if *read.schema.get_ref() != SCHEMA {
        return Err(place.of(
            &read.schema,
            &format!("this host reads `schema = {SCHEMA}`"),
        ));
    }
    let shared = Shared::read(&place, &read)?;
    let mut rules: Vec<Rule> = Vec::with_capacity(read.rules.len());
    for table in read.rules {
        let (span, name) = (table.name.span(), table.name.get_ref().clone());
        let wrong = |why: String| place.at(span.start, &format!("rule `{name}`: {why}"));
        if rules.iter().any(|rule| rule.name == name) {
            return Err(wrong("another rule has this name".to_owned()));
        }
        rules.push(rule(table, &shared).map_err(wrong)?);
    }
    for rule in &rules {
        if let Action::Signal(signal) = &rule.action {
            let found = rules.iter().find(|other| other.name == signal.rule);
            let is_fit = found.is_some_and(|found| {
                found.effect == Effect::Read
                    && matches!(found.action, Action::Send)
                    && found.body.is_none()
                    && found.query.values().all(|text| !text.is_required)
                    && found
                        .path
                        .names()
                        .all(|name| rule.path.names().any(|own| own == name))
            });
            if !is_fit {
                return Err(format!(
                    "{file}: rule `{}`: signal.rule = `{}` must be a rule with effect = \"read\", without a body and required keys, whose path has no other parameters",
                    rule.name, signal.rule
                ));
            }
        }
    }
    if rules.is_empty() {
        return Err(format!(
            "{file}: it has no [[rules]], so it would allow nothing"
        ));
    }
    Ok(Policy {
        description: read.description,
        at_once: shared.at_once,
        sorts: shared.sorts,
        rules,
    })
}

struct Place<'a> {
    file: &'a str,
    text: &'a str,
}

impl Place<'_> {
    fn at(&self, offset: usize, message: &str) -> String {
        let before = self.text.bytes().take(offset);
        let line = before.filter(|&byte| byte == b'\n').count() + 1;
        format!("{}:{line}: {message}", self.file)
    }

    fn of<T>(&self, what: &Spanned<T>, message: &str) -> String {
        self.at(what.span().start, message)
    }
}

/// What rules refer to.
pub(super) struct Shared {
    pub(super) bounds: Bounds,
    pub(super) at_once: AtOnce,
    pub(super) errors: Vec<Pointer>,
    pub(super) parameters: BTreeMap<String, TextTable>,
    pub(super) sorts: BTreeMap<String, Sort>,
    pub(super) framings: BTreeMap<String, Framing>,
    pub(super) schemas: BTreeMap<String, Value>,
}

impl Shared {
    fn read(place: &Place<'_>, file: &File) -> Result<Self, String> {
        let (bounds, at_once) = limits(place, &file.limits)?;
        let mut errors = Vec::new();
        for pointer in &file.errors {
            let parsed = Pointer::parse(pointer.get_ref());
            errors.push(parsed.map_err(|why| place.of(pointer, &why))?);
        }
        let mut sorts = BTreeMap::new();
        for (name, table) in &file.sorts {
            let wrong = |why: &str| place.of(table, &format!("[sorts.{name}]: {why}"));
            let sort = table.get_ref();
            let parent = sort.parent.as_ref();
            if parent.is_some_and(|parent| parent == name || !file.sorts.contains_key(parent)) {
                return Err(wrong("`parent` must be another sort"));
            }
            let pattern = whole(&sort.pattern).map_err(|why| wrong(&why))?;
            let parent = sort.parent.clone();
            sorts.insert(name.clone(), Sort { pattern, parent });
        }
        let mut framings = framing::built_in();
        for (name, table) in &file.framings {
            let wrong = |why: &str| place.of(table, &format!("[framings.{name}]: {why}"));
            let framing = Framing::read(table.get_ref()).map_err(|why| wrong(&why))?;
            if framings.insert(name.clone(), framing).is_some() {
                return Err(wrong("this name is built in"));
            }
        }
        let names: BTreeSet<&str> = file.schemas.keys().map(String::as_str).collect();
        let mut schemas = BTreeMap::new();
        for (name, text) in &file.schemas {
            let wrong = |why: &str| place.of(text, &format!("[schemas.{name}]: {why}"));
            let schema = schema(&text.get_ref().0).map_err(|why| wrong(&why))?;
            closed::check(&schema, &names).map_err(|why| wrong(&why))?;
            schemas.insert(name.clone(), schema);
        }
        closed::check_circles(&schemas).map_err(|why| format!("{}: {why}", place.file))?;
        let parameters = &file.parameters;
        let parameters: BTreeMap<String, TextTable> = parameters
            .iter()
            .map(|(name, table)| (name.clone(), table.get_ref().clone()))
            .collect();
        Ok(Self {
            bounds,
            at_once,
            errors,
            parameters,
            sorts,
            framings,
            schemas,
        })
    }

    /// The sort of this name.
    ///
    /// # Errors
    /// Those there are.
    pub(super) fn sort(&self, name: &str) -> Result<&Sort, String> {
        self.sorts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.sorts.keys().map(String::as_str).collect();
            format!(
                "there is no [sorts.{name}]; there are: {}",
                known.join(", ")
            )
        })
    }
}

fn limits(place: &Place<'_>, table: &LimitsTable) -> Result<(Bounds, AtOnce), String> {
    let bounded = |name: &str,
                   value: &Option<Spanned<u64>>,
                   bounds: &RangeInclusive<u64>,
                   otherwise| match value {
        None => Ok(otherwise),
        Some(value) => {
            in_bounds(name, *value.get_ref(), bounds).map_err(|why| place.of(value, &why))
        }
    };
    let bounds = Bounds {
        timeout_ms: bounded("timeout_ms", &table.timeout_ms, &TIMEOUT_MS, 10_000)?,
        request_bytes: size(bounded(
            "request_bytes",
            &table.request_bytes,
            &BYTES,
            64 << 10,
        )?),
        response_bytes: size(bounded(
            "response_bytes",
            &table.response_bytes,
            &BYTES,
            1 << 20,
        )?),
        depth: size(bounded("depth", &table.depth, &DEPTH, 32)?),
    };
    let at_once = AtOnce {
        requests: size(bounded("concurrent", &table.concurrent, &AT_ONCE, 64)?),
        streams: size(bounded("streams", &table.streams, &AT_ONCE, 1_024)?),
        kept: size(bounded("kept", &table.kept, &AT_ONCE, 256)?),
    };
    Ok((bounds, at_once))
}

pub(super) fn in_bounds(
    name: &str,
    value: u64,
    bounds: &RangeInclusive<u64>,
) -> Result<u64, String> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    Err(format!(
        "`{name} = {value}` is out of bounds: expected {} to {}",
        bounds.start(),
        bounds.end()
    ))
}

pub(super) fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A pattern that fits the whole text.
pub(super) fn whole(pattern: &str) -> Result<Regex, String> {
    // Alone first: a bracket too many must not close the one that is put around it.
    Regex::new(pattern)
        .and_then(|_| Regex::new(&format!("^(?:{pattern})$")))
        .map_err(|error| format!("`{pattern}` is no pattern: {error}").replace('\n', " "))
}

pub(super) fn pointers(texts: &[String]) -> Result<Vec<Pointer>, String> {
    texts.iter().map(|text| Pointer::parse(text)).collect()
}

pub(super) fn schema(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => {
            serde_json::from_str(text).map_err(|error| format!("the schema is no JSON: {error}"))
        }
        table => Ok(table.clone()),
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
