//! JSON as it is taken from a plugin: read once, in one way.
//!
//! Readers differ in what they make of a key that stands twice, so it is refused at any depth, and so
//! is what lies too deep. What is sent later is written anew from what was read here.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one value and nothing behind it.
///
/// # Errors
/// What is wrong, with line and column.
pub(crate) fn parse(text: &str, depth: usize) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth }
        .deserialize(&mut reader)
        .map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// A value with so many levels left.
struct Strict {
    depth: usize,
}

impl Strict {
    fn inner<E: serde::de::Error>(&self) -> Result<usize, E> {
        self.depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("it is nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is too large"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Strict { depth })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut members = Map::new();
        while let Some(key) = pairs.next_key::<String>()? {
            let value = pairs.next_value_seed(Strict { depth })?;
            if members.contains_key(&key) {
                let shown: String = key.chars().take(60).collect();
                return Err(A::Error::custom(format!(
                    "the key {shown:?} stands twice in one object"
                )));
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_read_and_nothing_twice() {
        for text in [
            "null",
            "[1, -2, 3.5, \"a\", {\"b\": [], \"c\": {}}]",
            " {\"a\": {\"a\": 1}} ",
        ] {
            let want: Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse(text, 4).unwrap(), want, "{text}");
        }
        for (text, want) in [
            ("{\"a\": 1, \"a\": 1}", "stands twice"),
            ("{\"a\": 1, \"\\u0061\": 2}", "stands twice"),
            ("[[{\"a\": {\"b\": 1, \"b\": 2}}]]", "stands twice"),
            ("[[[[[]]]]]", "too deep"),
            ("{} {}", "trailing"),
            ("{\"a\": 1,}", "trailing comma"),
            ("{'a': 1}", ""),
            ("1e999", ""),
            ("NaN", ""),
            ("\"\\ud800\"", ""),
            ("", "EOF"),
        ] {
            let error = parse(text, 4).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn no_depth_is_too_deep_for_the_reader() {
        assert!(parse(&"[".repeat(1 << 20), usize::MAX).is_err());
    }
}
