//! Texts and values with facts in them, as a policy forces them.

use serde_json::{Map, Value};

use super::facts::Fact;

/// A text with facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Fact(Fact),
}

/// A JSON value with facts in its texts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Plain(Value),
    Text(Template),
    Number { fact: Fact, times: u64 },
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// A fact that is not there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) String);

/// Says what a fact is.
pub(crate) type Say<'a> = &'a dyn Fn(&Fact) -> Option<String>;

impl Template {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else {
                let fact = from.strip_prefix('{').and_then(|from| from.split_once('}'));
                let (fact, after) = fact.ok_or_else(|| {
                    format!("`{text}` has a brace alone: write {{{{ or }}}} for one that is meant")
                })?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Fact(Fact::named(fact)?));
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// The text.
    ///
    /// # Errors
    /// The first fact that is not there.
    pub(crate) fn render(&self, say: Say<'_>) -> Result<String, Missing> {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => Ok(text.clone()),
                Part::Fact(fact) => say(fact).ok_or_else(|| Missing(fact.name())),
            })
            .collect()
    }

    /// The facts in it.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.0.iter().filter_map(|part| match part {
            Part::Fact(fact) => Some(fact),
            Part::Text(_) => None,
        })
    }
}

impl Tree {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with a text in it.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => match number(text)? {
                Some(number) => number,
                None => Self::Text(Template::parse(text)?),
            },
            Value::Array(items) => {
                Self::Array(items.iter().map(Self::parse).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), Self::parse(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
            plain => Self::Plain(plain.clone()),
        })
    }

    /// The value.
    ///
    /// # Errors
    /// The first fact that is not there, or is no number where one is wanted.
    pub(crate) fn render(&self, say: Say<'_>) -> Result<Value, Missing> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => Value::String(template.render(say)?),
            Self::Number { fact, times } => {
                let number = say(fact).and_then(|text| text.parse::<u64>().ok());
                let number = number.and_then(|number| number.checked_mul(*times));
                number.ok_or_else(|| Missing(fact.name()))?.into()
            }
            Self::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| item.render(say))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(key, tree)| Ok((key.clone(), tree.render(say)?)))
                    .collect::<Result<Map<_, _>, Missing>>()?,
            ),
        })
    }

    /// The facts in it.
    pub(crate) fn facts(&self) -> Vec<&Fact> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Text(template) => template.facts().collect(),
            Self::Number { fact, .. } => vec![fact],
            Self::Array(items) => items.iter().flat_map(Self::facts).collect(),
            Self::Object(members) => members.iter().flat_map(|(_, tree)| tree.facts()).collect(),
        }
    }
}

/// `{fact:number}` or `{fact*1000:number}`.
fn number(text: &str) -> Result<Option<Tree>, String> {
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix(":number}"))
        .filter(|inner| !inner.contains(['{', '}']));
    let Some(inner) = inner else {
        return Ok(None);
    };
    let (fact, times) = match inner.split_once('*') {
        None => (inner, 1),
        Some((fact, times)) => (
            fact,
            times
                .parse()
                .map_err(|_| format!("`{times}` in `{text}` is no whole number"))?,
        ),
    };
    Ok(Some(Tree::Number {
        fact: Fact::named(fact)?,
        times,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn say(fact: &Fact) -> Option<String> {
        match fact {
            Fact::Workload => Some("wl_1".to_owned()),
            Fact::CpuMillis => Some("500".to_owned()),
            Fact::Path(name) if name == "id" => Some("abc".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn facts_are_said_where_they_stand() {
        for (text, want) in [
            ("plain", Ok("plain")),
            ("", Ok("")),
            ("{workload}", Ok("wl_1")),
            ("a-{workload}/{path.id}-b", Ok("a-wl_1/abc-b")),
            ("{{{workload}}}", Ok("{wl_1}")),
            ("{{workload}}", Ok("{workload}")),
            ("{nonce}", Err("nonce")),
        ] {
            let got = Template::parse(text).unwrap().render(&say);
            let want = want
                .map(str::to_owned)
                .map_err(|fact| Missing(fact.to_owned()));
            assert_eq!(got, want, "{text}");
        }
        for text in ["{", "}", "{workload", "a}b", "{worklaod}", "{}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_hold_facts_as_text_and_as_numbers() {
        let tree = Tree::parse(&json!({
            "a": ["{workload}:/work", 1, null, true],
            "n": "{limits.cpu-millis*1000000:number}", "t": "{limits.cpu-millis}"
        }));
        assert_eq!(
            tree.unwrap().render(&say).unwrap(),
            json!({"a": ["wl_1:/work", 1, null, true], "n": 500_000_000, "t": "500"})
        );
        let missing = Tree::parse(&json!(["{limits.memory-bytes:number}"])).unwrap();
        assert_eq!(
            missing.render(&say),
            Err(Missing("limits.memory-bytes".to_owned()))
        );
        for wrong in ["{limits.cpu-millis*x:number}", "{nothing:number}"] {
            assert!(Tree::parse(&json!(wrong)).is_err(), "{wrong}");
        }
        let too_large = Tree::parse(&json!("{limits.cpu-millis*18446744073709551615:number}"));
        assert!(too_large.unwrap().render(&say).is_err());
    }
}
