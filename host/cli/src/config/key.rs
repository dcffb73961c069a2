//! The keys, and how each is written where there is no TOML.

use toml::Value;

/// How a key's value is written in a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As it is.
    Text,
    /// In digits.
    Number,
    /// A path; in a file it is relative to the file.
    Path,
    /// Names with commas between them.
    List,
    /// JSON.
    Table,
}

/// One key of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// Its path, with dots.
    pub(crate) path: &'static str,
    /// How it is written in a variable.
    pub(crate) shape: Shape,
}

/// All of them, in the order of the reference.
pub(crate) const KEYS: [Key; 19] = [
    Key {
        path: "role",
        shape: Shape::Text,
    },
    Key {
        path: "data",
        shape: Shape::Path,
    },
    Key {
        path: "listen",
        shape: Shape::Text,
    },
    Key {
        path: "grants",
        shape: Shape::Path,
    },
    Key {
        path: "policy_trace",
        shape: Shape::Path,
    },
    Key {
        path: "cache",
        shape: Shape::Path,
    },
    Key {
        path: "heartbeat",
        shape: Shape::Text,
    },
    Key {
        path: "plugins.dir",
        shape: Shape::Path,
    },
    Key {
        path: "plugins.required",
        shape: Shape::List,
    },
    Key {
        path: "plugins.settings",
        shape: Shape::Table,
    },
    Key {
        path: "swap.probation",
        shape: Shape::Text,
    },
    Key {
        path: "swap.failures",
        shape: Shape::Number,
    },
    Key {
        path: "swap.drain",
        shape: Shape::Text,
    },
    Key {
        path: "swap.settle",
        shape: Shape::Text,
    },
    Key {
        path: "swap.rescan",
        shape: Shape::Text,
    },
    Key {
        path: "swap.plugins",
        shape: Shape::Table,
    },
    Key {
        path: "ceiling",
        shape: Shape::Table,
    },
    Key {
        path: "log.level",
        shape: Shape::Text,
    },
    Key {
        path: "log.format",
        shape: Shape::Text,
    },
];

impl Key {
    /// Its variable.
    pub(crate) fn variable(self) -> String {
        format!("FLEET_{}", self.path.to_uppercase().replace('.', "_"))
    }

    /// A variable's value as a value of the file.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn read(self, text: &str) -> Result<Value, String> {
        match self.shape {
            Shape::Text | Shape::Path => Ok(Value::String(text.to_owned())),
            Shape::Number => text
                .parse()
                .map(Value::Integer)
                .map_err(|_| format!("`{text}` is not a number")),
            Shape::List => {
                let names = text
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty());
                Ok(Value::Array(
                    names.map(|name| Value::String(name.to_owned())).collect(),
                ))
            }
            Shape::Table => {
                let table: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
                    .map_err(|error| format!("expected a JSON object: {error}"))?;
                Value::try_from(table).map_err(|error| error.to_string())
            }
        }
    }

    /// A document that holds nothing but this key.
    pub(crate) fn alone(self, value: Value) -> toml::Table {
        self.path
            .rsplit('.')
            .fold(None, |inner: Option<toml::Table>, part| {
                let value = inner.map_or_else(|| value.clone(), Value::Table);
                Some(toml::Table::from_iter([(part.to_owned(), value)]))
            })
            .unwrap_or_default()
    }

    /// Its value in a document.
    pub(crate) fn of(self, document: &toml::Table) -> Option<&Value> {
        let mut parts = self.path.split('.');
        let first = document.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_table()?.get(part))
    }
}
