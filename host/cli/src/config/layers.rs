//! Flags over variables over the file over defaults.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::{Table, Value};

use super::key::{KEYS, Key, Shape};
use super::settings::{Document, HEARTBEAT, LEVEL, Settings};
use super::swap;
use crate::connect::DEFAULT_LISTEN;
use crate::document::{self, Syntax};
use crate::environment::Environment;
use crate::failure::{Failure, reason};
use crate::folder;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nobody said anything.
    Default,
    /// The file.
    File(PathBuf),
    /// A variable.
    Variable(String),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// What was given as flags: the key, the flag, the value.
pub(crate) type Flags = Vec<(&'static str, &'static str, String)>;

/// What is in force, and why.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The settings.
    pub(crate) settings: Settings,
    /// Each key with its value, as in the file, and its source.
    pub(crate) values: Vec<(&'static str, Option<Value>, Source)>,
}

/// Reads all layers.
pub(crate) fn load(
    config: Option<&Path>,
    flags: &Flags,
    environment: &Environment,
) -> Result<Loaded, Failure> {
    let mut merged = BTreeMap::<&str, (Value, Source)>::new();
    let file = File::find(config, flags, environment)?;
    if let Some(file) = &file {
        for key in KEYS {
            if let Some(value) = key.of(&file.table) {
                merged.insert(
                    key.path,
                    (file.placed(key, value), Source::File(file.path.clone())),
                );
            }
        }
    }
    for key in KEYS {
        let name = key.variable();
        if let Some(text) = environment.text(&name) {
            let value = single(key, &name, &text)?;
            merged.insert(key.path, (value, Source::Variable(name)));
        }
    }
    for (path, flag, text) in flags {
        for key in KEYS.into_iter().filter(|key| key.path == *path) {
            merged.insert(key.path, (single(key, flag, text)?, Source::Flag(flag)));
        }
    }
    let data = match merged.get("data").and_then(|(value, _)| value.as_str()) {
        Some(data) => PathBuf::from(data),
        None => folder::default_data(environment)?,
    };
    if let Some(file) = file.filter(|file| file.is_found && !same(&file.folder(), &data)) {
        let message = format!(
            "{} was found in the data folder and names another: {}",
            file.path.display(),
            data.display()
        );
        return Err(Failure::usage(message)
            .help("take the key `data` out of it, or name the file with --config"));
    }
    let document = document(
        merged
            .iter()
            .map(|(path, (value, _))| (*path, value.clone())),
    )?;
    let settings = Settings::of(document, data);
    let values = KEYS.into_iter().map(|key| match merged.remove(key.path) {
        Some((value, source)) => (key.path, Some(value), source),
        None => (key.path, default(key, &settings), Source::Default),
    });
    let values = values.collect();
    Ok(Loaded { settings, values })
}

/// The file that was named or found.
struct File {
    path: PathBuf,
    table: Table,
    /// Whether nobody named it.
    is_found: bool,
}

impl File {
    fn find(
        config: Option<&Path>,
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Option<Self>, Failure> {
        let named = config
            .map(Path::to_path_buf)
            .or_else(|| environment.get("FLEET_CONFIG").map(PathBuf::from));
        if let Some(path) = named {
            return Self::read(path, false).map(Some);
        }
        let flag = flags
            .iter()
            .find(|(path, ..)| *path == "data")
            .map(|(.., value)| Path::new(value));
        // No home and no name: the missing data folder is told later.
        let Ok(data) = folder::data(flag, environment) else {
            return Ok(None);
        };
        let path = data.join(folder::CONFIG);
        if path.exists() {
            Self::read(path, true).map(Some)
        } else {
            Ok(None)
        }
    }

    fn read(path: PathBuf, is_found: bool) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!(
                "cannot read the configuration {name}: {}",
                reason(&error)
            ))
            .help("name a file you can read with --config or FLEET_CONFIG")
        })?;
        document::parse::<Document>(&name, &text, Syntax::Toml)?;
        let table = document::parse(&name, &text, Syntax::Toml)?;
        Ok(Self {
            path,
            table,
            is_found,
        })
    }

    fn folder(&self) -> PathBuf {
        match self.path.parent() {
            Some(folder) if folder != OsStr::new("") => folder.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }

    /// A path in the file is relative to the file.
    fn placed(&self, key: Key, value: &Value) -> Value {
        match (key.shape, value) {
            (Shape::Path, Value::String(path))
                if Path::new(path).is_relative() && self.folder() != Path::new(".") =>
            {
                Value::String(self.folder().join(path).display().to_string())
            }
            _ => value.clone(),
        }
    }
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    real(one) == real(other)
}

/// One value that was not in a file, checked alone so that a mistake names its place.
fn single(key: Key, place: &str, text: &str) -> Result<Value, Failure> {
    let value = key
        .read(text)
        .map_err(|expected| Failure::usage(format!("{place}: {expected}")))?;
    let alone = Value::Table(key.alone(value.clone()));
    match Document::deserialize(alone) {
        Ok(_) => Ok(value),
        Err(error) => {
            let failure = Failure::usage(format!(
                "{place}: {}",
                error.message().trim_end().replace('\n', "; ")
            ));
            Err(failure.help(format!("it is the key `{}` of fleet-host.toml", key.path)))
        }
    }
}

fn document<'a>(values: impl Iterator<Item = (&'a str, Value)>) -> Result<Document, Failure> {
    let mut table = Table::new();
    for (path, value) in values {
        match path.split_once('.') {
            None => table.insert(path.to_owned(), value),
            Some((outer, inner)) => match table
                .entry(outer)
                .or_insert_with(|| Value::Table(Table::new()))
            {
                Value::Table(nested) => nested.insert(inner.to_owned(), value),
                _ => None,
            },
        };
    }
    Document::deserialize(Value::Table(table)).map_err(|error| Failure::usage(error.message()))
}

/// A default as it would be written; nothing where there is none to write.
fn default(key: Key, settings: &Settings) -> Option<Value> {
    let text = |text: String| Some(Value::String(text));
    match key.path {
        "role" => text(settings.role.as_str().to_owned()),
        "data" => text(settings.data.display().to_string()),
        "listen" => text(DEFAULT_LISTEN.to_owned()),
        "grants" => text(settings.data.join("grants.toml").display().to_string()),
        "cache" => text(settings.data.join("plugins/cache").display().to_string()),
        "heartbeat" => text(HEARTBEAT.to_owned()),
        "plugins.required" => Some(Value::Array(Vec::new())),
        "plugins.settings" => Some(Value::Table(Table::new())),
        "swap.plugins" => Some(Value::Table(Table::new())),
        path if path.starts_with("swap.") => swap::default(path),
        "log.level" => text(LEVEL.to_owned()),
        "log.format" => text("text".to_owned()),
        _ => None,
    }
}
