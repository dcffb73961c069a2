//! JSON pointers (RFC 6901) in which `*` is every member: what a rule forces, keeps and looks at.

use serde_json::{Map, Value};

/// A place, or several, in a JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer {
    steps: Vec<Step>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Each,
}

impl Pointer {
    /// Reads one.
    ///
    /// # Errors
    /// What it should look like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no pointer: write `/key/key`, or an empty text for all");
        let steps = match text.strip_prefix('/') {
            None if text.is_empty() => Vec::new(),
            None => return Err(wrong()),
            Some(rest) => rest
                .split('/')
                .map(|step| match step {
                    "*" => Ok(Step::Each),
                    step if has_bad_escape(step) => Err(wrong()),
                    step => Ok(Step::Member(step.replace("~1", "/").replace("~0", "~"))),
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(Self {
            steps,
            text: text.to_owned(),
        })
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it can name more than one place.
    pub(crate) fn is_many(&self) -> bool {
        self.steps.contains(&Step::Each)
    }

    /// What is there; of several the first.
    pub(crate) fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        get(&self.steps, value)
    }

    /// Puts a value there. Objects that are missing on the way are made, but not below a `*`.
    ///
    /// # Errors
    /// Where something that is no object is in the way.
    pub(crate) fn put(&self, value: &mut Value, new: &Value) -> Result<(), InTheWay> {
        put(&self.steps, value, new)
    }

    /// Takes away what is there.
    pub(crate) fn remove(&self, value: &mut Value) {
        remove(&self.steps, value);
    }

    /// Visits what is there.
    pub(crate) fn visit(&self, value: &mut Value, work: &mut dyn FnMut(&mut Value)) {
        visit(&self.steps, value, work);
    }
}

/// Something that is no object stands where one is needed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InTheWay;

/// Only what is named by pointers of `keeping`, with all below it, and not by any of `dropping`.
pub(crate) fn keep(keeping: &[Pointer], dropping: &[Pointer], value: &Value) -> Value {
    kept(&steps(keeping), &steps(dropping), value).unwrap_or_default()
}

fn steps(pointers: &[Pointer]) -> Vec<&[Step]> {
    pointers
        .iter()
        .map(|pointer| pointer.steps.as_slice())
        .collect()
}

fn has_bad_escape(step: &str) -> bool {
    step.split('~')
        .skip(1)
        .any(|after| !after.starts_with(['0', '1']))
}

fn index(key: &str) -> Option<usize> {
    (key.bytes().all(|byte| byte.is_ascii_digit()) && (key == "0" || !key.starts_with('0')))
        .then(|| key.parse().ok())
        .flatten()
}

fn get<'v>(steps: &[Step], value: &'v Value) -> Option<&'v Value> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(value);
    };
    match (step, value) {
        (Step::Member(key), Value::Object(members)) => get(rest, members.get(key)?),
        (Step::Member(key), Value::Array(items)) => get(rest, items.get(index(key)?)?),
        (Step::Each, Value::Object(members)) => members.values().find_map(|v| get(rest, v)),
        (Step::Each, Value::Array(items)) => items.iter().find_map(|v| get(rest, v)),
        _ => None,
    }
}

fn put(steps: &[Step], value: &mut Value, new: &Value) -> Result<(), InTheWay> {
    let Some((step, rest)) = steps.split_first() else {
        *value = new.clone();
        return Ok(());
    };
    match (step, value) {
        (Step::Each, Value::Array(items)) => items.iter_mut().try_for_each(|v| put(rest, v, new)),
        (Step::Each, Value::Object(members)) => {
            members.values_mut().try_for_each(|v| put(rest, v, new))
        }
        (Step::Each, Value::Null) => Ok(()),
        (Step::Member(key), Value::Array(items)) => index(key)
            .and_then(|index| items.get_mut(index))
            .map_or(Err(InTheWay), |v| put(rest, v, new)),
        (Step::Member(key), Value::Object(members)) => put_member(key, rest, members, new),
        (Step::Member(key), value @ Value::Null) => {
            let mut members = Map::new();
            put_member(key, rest, &mut members, new)?;
            *value = Value::Object(members);
            Ok(())
        }
        _ => Err(InTheWay),
    }
}

fn put_member(
    key: &str,
    rest: &[Step],
    members: &mut Map<String, Value>,
    new: &Value,
) -> Result<(), InTheWay> {
    if !members.contains_key(key) && rest.contains(&Step::Each) {
        return Ok(());
    }
    put(rest, members.entry(key).or_insert(Value::Null), new)
}

fn remove(steps: &[Step], value: &mut Value) {
    let Some((step, rest)) = steps.split_first() else {
        *value = Value::Null;
        return;
    };
    match (step, value) {
        (Step::Member(key), Value::Object(members)) if rest.is_empty() => {
            members.remove(key);
        }
        (Step::Each, Value::Object(members)) if rest.is_empty() => members.clear(),
        (Step::Each, Value::Array(items)) if rest.is_empty() => items.clear(),
        (Step::Member(key), Value::Array(items)) if rest.is_empty() => {
            if let Some(index) = index(key).filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        (step, value) => step_into(step, value, &mut |v| remove(rest, v)),
    }
}

fn visit(steps: &[Step], value: &mut Value, work: &mut dyn FnMut(&mut Value)) {
    match steps.split_first() {
        None => work(value),
        Some((step, rest)) => step_into(step, value, &mut |v| visit(rest, v, work)),
    }
}

fn step_into(step: &Step, value: &mut Value, work: &mut dyn FnMut(&mut Value)) {
    match (step, value) {
        (Step::Member(key), Value::Object(members)) => {
            members.get_mut(key).into_iter().for_each(work)
        }
        (Step::Member(key), Value::Array(items)) => index(key)
            .and_then(|index| items.get_mut(index))
            .into_iter()
            .for_each(work),
        (Step::Each, Value::Object(members)) => members.values_mut().for_each(work),
        (Step::Each, Value::Array(items)) => items.iter_mut().for_each(work),
        _ => {}
    }
}

/// Of a value, where these pointers have come to it.
fn kept(keeping: &[&[Step]], dropping: &[&[Step]], value: &Value) -> Option<Value> {
    if dropping.iter().any(|steps| steps.is_empty()) || keeping.is_empty() {
        return None;
    }
    let is_all = keeping.iter().any(|steps| steps.is_empty());
    if is_all && dropping.is_empty() {
        return Some(value.clone());
    }
    let member = |name: &str, value: &Value| {
        let keeping = if is_all {
            vec![&[][..]]
        } else {
            below(keeping, name)
        };
        kept(&keeping, &below(dropping, name), value)
    };
    match value {
        Value::Object(members) => Some(Value::Object(
            members
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), member(key, value)?)))
                .collect(),
        )),
        Value::Array(items) => Some(Value::Array(
            items
                .iter()
                .enumerate()
                .filter_map(|(at, value)| member(&at.to_string(), value))
                .collect(),
        )),
        plain => is_all.then(|| plain.clone()),
    }
}

/// What is left of these pointers at a member of this name.
fn below<'s>(pointers: &[&'s [Step]], name: &str) -> Vec<&'s [Step]> {
    pointers
        .iter()
        .filter_map(|steps| match steps.split_first() {
            Some((Step::Each, rest)) => Some(rest),
            Some((Step::Member(key), rest)) if key == name => Some(rest),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    #[test]
    fn a_value_is_put_wherever_it_belongs() {
        for (before, at, after) in [
            (json!({}), "/a/b", Some(json!({"a": {"b": 7}}))),
            (
                json!({"a": {"b": [1]}}),
                "/a/b",
                Some(json!({"a": {"b": 7}})),
            ),
            (json!({"a": null}), "/a/b", Some(json!({"a": {"b": 7}}))),
            (json!({"a": 1}), "/a/b", None),
            (
                json!({"m": [{}, {"s": 1}]}),
                "/m/*/s",
                Some(json!({"m": [{"s": 7}, {"s": 7}]})),
            ),
            (json!({}), "/m/*/s", Some(json!({}))),
            (json!({"m": []}), "/m/*/s", Some(json!({"m": []}))),
            (json!({"m": "x"}), "/m/*/s", None),
            (json!({}), "/a~1b~0c", Some(json!({"a/b~c": 7}))),
            (json!({"l": [0, 0]}), "/l/1", Some(json!({"l": [0, 7]}))),
            (json!({"l": [0]}), "/l/1", None),
            (json!(1), "", Some(json!(7))),
        ] {
            let mut value = before.clone();
            let put = pointer(at).put(&mut value, &json!(7));
            assert_eq!(put.is_ok().then_some(value), after, "{before} {at}");
        }
    }

    #[test]
    fn only_what_is_named_is_kept() {
        let value = json!({"a": {"b": 1, "c": 2}, "l": [{"x": 1, "y": 2}, {"y": 3}], "s": "t"});
        for (pointers, want) in [
            (vec![], json!(null)),
            (vec![""], value.clone()),
            (vec!["/a/b"], json!({"a": {"b": 1}})),
            (vec!["/a", "/a/b"], json!({"a": {"b": 1, "c": 2}})),
            (vec!["/l/*/y"], json!({"l": [{"y": 2}, {"y": 3}]})),
            (vec!["/l/0/x", "/s"], json!({"l": [{"x": 1}], "s": "t"})),
            (vec!["/s/t", "/none"], json!({})),
        ] {
            let pointers: Vec<_> = pointers.into_iter().map(pointer).collect();
            assert_eq!(keep(&pointers, &[], &value), want);
        }
        assert_eq!(keep(&[pointer("/a")], &[], &json!(3)), json!(null));
    }

    #[test]
    fn what_is_dropped_is_not_kept_wherever_its_place_was() {
        let value = json!({"a": {"b": 1, "c": 2}, "l": [{"x": 1}, {"x": 2, "y": 3}, 7]});
        for (keeping, dropping, want) in [
            (
                vec![""],
                vec!["/a/b", "/l/*/x"],
                json!({"a": {"c": 2}, "l": [{}, {"y": 3}, 7]}),
            ),
            // Places are those of the answer, also behind one that is left out.
            (vec!["/l/1"], vec!["/l/1/x"], json!({"l": [{"y": 3}]})),
            (
                vec!["/l"],
                vec!["/l/0", "/l/1/x"],
                json!({"l": [{"y": 3}, 7]}),
            ),
            (vec!["/a"], vec!["/a"], json!({})),
            (vec!["/a/b"], vec![""], json!(null)),
            (vec!["/a"], vec!["/*/c"], json!({"a": {"b": 1}})),
        ] {
            let read = |texts: &[&str]| texts.iter().map(|text| pointer(text)).collect::<Vec<_>>();
            let got = keep(&read(&keeping), &read(&dropping), &value);
            assert_eq!(got, want, "{keeping:?} {dropping:?}");
        }
    }

    #[test]
    fn what_is_dropped_is_gone() {
        let mut value = json!({"a": {"b": 1, "c": 2}, "l": [{"x": 1}, {"x": 2, "y": 3}]});
        for at in ["/a/b", "/l/*/x", "/none/x", "/a/c/d"] {
            pointer(at).remove(&mut value);
        }
        assert_eq!(value, json!({"a": {"c": 2}, "l": [{}, {"y": 3}]}));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["a", "a/b", "/a~", "/~2"] {
            assert!(Pointer::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            pointer("/l/*/y").get(&json!({"l": [{}, {"y": 1}]})),
            Some(&json!(1))
        );
    }
}
