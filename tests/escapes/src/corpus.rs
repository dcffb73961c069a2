//! The data as values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::change::{nested, put};
use crate::{Names, Places};

/// The import a request goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// `endpoint.get`.
    Get,
    /// `endpoint.send`.
    Send,
    /// `endpoint.open`.
    Open,
}

/// A request as a plugin gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The import.
    pub via: Via,
    /// The verb of the call's op, where it has one.
    pub verb: Option<String>,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body's text.
    pub body: Option<String>,
    /// Attributes of the request.
    pub attributes: Vec<(String, String)>,
}

/// A request that is allowed.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// The file's name.
    pub name: String,
    /// What it is for.
    pub title: String,
    /// The rule that allows it.
    pub rule: String,
    /// What is asked.
    pub asked: Asked,
    /// What goes out: method and target, and the body.
    pub sends: Option<(String, Option<Value>)>,
    /// Whether a real engine can be asked.
    pub asks_engine: bool,
}

/// What must come of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Refused before anything is sent, by this rule; by none where it is absent.
    Refused(Option<String>),
    /// The answer is refused, with this code.
    Denied(String),
}

/// A request that must not be done.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// `FILE/NAME`.
    pub name: String,
    /// Why it is dangerous.
    pub why: String,
    /// What must come of it.
    pub expected: Expected,
    /// Where the refusal must say the trouble is.
    pub at: Places,
    /// Whether another plugin asks.
    pub by_stranger: bool,
    /// Whether the op is of another workload.
    pub for_other: bool,
    /// What is asked.
    pub asked: Asked,
    /// Whether it can be told without asking an engine.
    pub is_pure: bool,
}

/// All requests about one policy.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// Those that are allowed.
    pub allowed: Vec<Allowed>,
    /// Those that are not.
    pub attempts: Vec<Attempt>,
}

type Pairs = Vec<(String, String)>;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowedFile {
    title: String,
    rule: String,
    via: Via,
    verb: Option<String>,
    method: String,
    path: String,
    #[serde(default)]
    query: Pairs,
    #[serde(default)]
    attributes: Pairs,
    body: Option<String>,
    sends: Option<String>,
    sends_body: Option<String>,
    only: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttemptsFile {
    attempt: Vec<AttemptEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttemptEntry {
    name: String,
    base: String,
    why: String,
    rule: Option<String>,
    at: Option<String>,
    denied: Option<String>,
    via: Option<Via>,
    verb: Option<String>,
    by: Option<String>,
    r#for: Option<String>,
    method: Option<String>,
    path: Option<String>,
    query: Option<Pairs>,
    #[serde(default)]
    query_add: Pairs,
    #[serde(default)]
    headers_add: Pairs,
    attributes: Option<Pairs>,
    body: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    body_set: BTreeMap<String, String>,
    fill: Option<Fill>,
    nest: Option<Nest>,
    only: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fill {
    at: String,
    with: String,
    times: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nest {
    at: String,
    depth: usize,
}

impl Corpus {
    /// What concerns `policies/docker.toml`, with these names filled in.
    ///
    /// # Panics
    /// When a file cannot be read or is not right.
    #[must_use]
    pub fn docker(names: &Names) -> Self {
        let folder = folder().join("docker");
        let files = files(&folder.join("allowed"));
        let bases: BTreeMap<String, AllowedFile> = files.iter().map(|file| read(file)).collect();
        let attempts = files_of_attempts(&folder);
        Self {
            allowed: bases
                .iter()
                .map(|(name, base)| base.allowed(name, names))
                .collect(),
            attempts: attempts
                .into_iter()
                .map(|(file, entry)| {
                    let base = bases.get(&entry.base);
                    let base = base.unwrap_or_else(|| panic!("there is no base {}", entry.base));
                    entry.attempt(&file, base, names)
                })
                .collect(),
        }
    }

    /// The allowed request of this name.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn allowed(&self, name: &str) -> &Allowed {
        let found = self.allowed.iter().find(|allowed| allowed.name == name);
        found.unwrap_or_else(|| panic!("there is no allowed request {name}"))
    }
}

impl AllowedFile {
    fn asked(&self) -> Asked {
        Asked {
            via: self.via,
            verb: self.verb.clone(),
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: Vec::new(),
            body: self.body.clone(),
            attributes: self.attributes.clone(),
        }
    }

    fn allowed(&self, name: &str, names: &Names) -> Allowed {
        let body = self.sends_body.as_ref().map(|body| {
            let body = names.fill(body);
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{name}: {error}"))
        });
        Allowed {
            name: name.to_owned(),
            title: self.title.clone(),
            rule: self.rule.clone(),
            asked: self.asked().filled(names),
            sends: self.sends.as_ref().map(|sends| (names.fill(sends), body)),
            asks_engine: self.only.is_none(),
        }
    }
}

impl AttemptEntry {
    fn attempt(self, file: &str, base: &AllowedFile, names: &Names) -> Attempt {
        let body = self.changed(base, file);
        let at = self.places(base, names);
        let mut asked = base.asked();
        asked.body = body;
        asked.via = self.via.unwrap_or(asked.via);
        asked.method = self.method.unwrap_or(asked.method);
        asked.path = self.path.unwrap_or(asked.path);
        asked.query = self.query.unwrap_or(asked.query);
        asked.query.extend(self.query_add);
        asked.headers.extend(self.headers_add);
        asked.attributes = self.attributes.unwrap_or(asked.attributes);
        if let Some(verb) = self.verb {
            asked.verb = Some(verb).filter(|verb| !verb.is_empty());
        }
        let rule = self.rule.unwrap_or_else(|| base.rule.clone());
        Attempt {
            name: format!("{file}/{}", self.name),
            why: self.why,
            expected: match self.denied {
                Some(code) => Expected::Denied(code),
                None => Expected::Refused(Some(rule).filter(|rule| rule != "no-rule")),
            },
            at,
            by_stranger: self.by.is_some(),
            for_other: self.r#for.is_some(),
            asked: asked.filled(names),
            is_pure: self.only.is_none(),
        }
    }

    /// What it changes, but for what the file says itself.
    fn places(&self, base: &AllowedFile, names: &Names) -> Places {
        let mut places = Places::default();
        if let Some(at) = &self.at {
            places.add(names.fill(at));
            return places;
        }
        let whose = self.by.is_some() || self.r#for.is_some();
        if whose || self.path.is_some() || self.method.is_some() {
            places.add_path();
        }
        if self.via.is_some() {
            places.add("call");
        }
        if self.verb.is_some() {
            places.add("op");
        }
        let replaced = self
            .query
            .iter()
            .flat_map(|query| base.query.iter().chain(query));
        for (key, _) in replaced.chain(&self.query_add) {
            places.add(format!("query.{key}"));
        }
        for (name, _) in &self.headers_add {
            places.add(format!("header.{}", name.to_ascii_lowercase()));
        }
        if self.body.is_some() || self.fill.is_some() || self.nest.is_some() {
            places.add_body();
        }
        if !self.set.is_empty() || !self.body_set.is_empty() {
            let body = base
                .body
                .as_deref()
                .and_then(|body| serde_json::from_str(body).ok());
            let body = body.unwrap_or_default();
            for pointer in self.set.keys().chain(self.body_set.keys()) {
                places.add_value(&body, pointer);
            }
        }
        places
    }

    /// The base's body with the changes; `""` stands for none at all.
    fn changed(&self, base: &AllowedFile, file: &str) -> Option<String> {
        if let Some(body) = &self.body {
            return Some(body.clone()).filter(|body| !body.is_empty());
        }
        let at = |error| panic!("{file}/{}: {error}", self.name);
        let mut changes: Vec<(&str, Value)> = Vec::new();
        for (pointer, value) in &self.set {
            changes.push((pointer, value.clone()));
        }
        for (pointer, text) in &self.body_set {
            let value = serde_json::from_str(text).unwrap_or_else(at);
            changes.push((pointer, value));
        }
        if let Some(fill) = &self.fill {
            changes.push((&fill.at, vec![fill.with.as_str(); fill.times].into()));
        }
        if let Some(nest) = &self.nest {
            changes.push((&nest.at, nested(nest.depth)));
        }
        if changes.is_empty() {
            return base.body.clone();
        }
        let text = base.body.as_deref().unwrap_or("{}");
        let mut body: Value = serde_json::from_str(text).unwrap_or_else(at);
        for (pointer, value) in changes {
            put(&mut body, pointer, value);
        }
        Some(body.to_string())
    }
}

impl Asked {
    fn filled(self, names: &Names) -> Self {
        let pairs = |pairs: Pairs| -> Pairs {
            let pairs = pairs.into_iter();
            let fill = |(key, value): (String, String)| (names.fill(&key), names.fill(&value));
            pairs.map(fill).collect()
        };
        Self {
            method: names.fill(&self.method),
            path: names.fill(&self.path),
            query: pairs(self.query),
            headers: pairs(self.headers),
            body: self.body.map(|body| names.fill(&body)),
            attributes: pairs(self.attributes),
            ..self
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = listing
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|kind| kind == "toml"))
        .collect();
    files.sort();
    files
}

fn read<T: DeserializeOwned>(file: &Path) -> (String, T) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let value = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    (name, value)
}

fn files_of_attempts(folder: &Path) -> Vec<(String, AttemptEntry)> {
    let mut all = Vec::new();
    for file in files(folder) {
        let (name, read): (String, AttemptsFile) = read(&file);
        all.extend(
            read.attempt
                .into_iter()
                .map(|attempt| (name.clone(), attempt)),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn schema(name: &str) -> jsonschema::Validator {
        let text = std::fs::read_to_string(folder().join(name)).unwrap();
        jsonschema::draft202012::new(&serde_json::from_str(&text).unwrap()).unwrap()
    }

    #[test]
    fn every_file_is_as_its_schema_says() {
        let attempts = files(&folder().join("docker"));
        let allowed = files(&folder().join("docker/allowed"));
        for (files, schema) in [
            (attempts, schema("attempt.schema.json")),
            (allowed, schema("allowed.schema.json")),
        ] {
            assert!(!files.is_empty());
            for file in files {
                let (_, value): (String, Value) = read(&file);
                let faults: Vec<String> = schema
                    .iter_errors(&value)
                    .map(|fault| format!("{}: {fault}", fault.instance_path()))
                    .collect();
                assert!(faults.is_empty(), "{}: {faults:?}", file.display());
            }
        }
    }

    #[test]
    fn attempts_have_names_of_their_own_and_differ_from_what_is_allowed() {
        let corpus = Corpus::docker(&Names::new());
        assert!(corpus.attempts.len() >= 60, "{}", corpus.attempts.len());
        let names: BTreeSet<&str> = corpus.attempts.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names.len(), corpus.attempts.len());
        for attempt in &corpus.attempts {
            let changed = attempt.by_stranger || attempt.for_other || !attempt.is_pure;
            let is_allowed = corpus
                .allowed
                .iter()
                .any(|allowed| allowed.asked == attempt.asked);
            assert!(changed || !is_allowed, "{}", attempt.name);
        }
    }
}
