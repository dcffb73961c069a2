//! What of an answer passes to the plugin. Pure.

use serde_json::Value;

use super::facts::{Arguments, Fact, Facts};
use super::pointer::keep;
use super::policy::{Equals, ResponseRule, Rows};

/// A good answer, as far as the rule lets it through.
pub(crate) fn answer(
    rule: &ResponseRule,
    facts: &Facts<'_>,
    arguments: &Arguments,
    mut value: Value,
) -> Value {
    if let Some(rows) = &rule.rows {
        rows_of(rows, facts, arguments, &mut value);
    }
    keep(&rule.keep, &rule.drop, &value)
}

/// Whether all of these are so.
pub(crate) fn is_so(
    all: &[Equals],
    facts: &Facts<'_>,
    arguments: &Arguments,
    value: &Value,
) -> bool {
    let say = |fact: &Fact| facts.say(fact, arguments);
    all.iter().all(|equals| {
        let wanted = equals.equals.render(&say).ok();
        wanted.is_some() && equals.at.get(value) == wanted.as_ref()
    })
}

fn rows_of(rule: &Rows, facts: &Facts<'_>, arguments: &Arguments, value: &mut Value) {
    let mut is_list = false;
    rule.at.visit(value, &mut |list| {
        if let Value::Array(rows) = list {
            is_list = true;
            rows.retain(|row| {
                let id = rule.id.get(row).and_then(Value::as_str);
                let is_owned = id.is_some_and(|id| facts.owned.owner(&rule.owned, id).is_some());
                let fits = !rule.or_when.is_empty() && is_so(&rule.or_when, facts, arguments, row);
                is_owned || fits
            });
        }
    });
    // What is no list has no rows that could be told apart.
    if !is_list {
        *value = Value::Null;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::endpoint::facts::{Owner, Ownership};
    use crate::endpoint::pointer::Pointer;
    use crate::endpoint::policy::ResponseBody;
    use crate::endpoint::template::Tree;

    struct Ours(BTreeSet<&'static str>);

    impl Ownership for Ours {
        fn owner(&self, sort: &str, id: &str) -> Option<Owner> {
            (sort == "thing" && self.0.contains(id)).then(|| Owner {
                workload: "wl_1".to_owned(),
                parent: None,
            })
        }
    }

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    fn rule(rows: bool) -> ResponseRule {
        ResponseRule {
            status: None,
            body: ResponseBody::Json,
            keep: vec![pointer("/list/*/id"), pointer("/list/*/env")],
            drop: vec![pointer("/list/*/env/SECRET")],
            rows: rows.then(|| Rows {
                at: pointer("/list"),
                id: pointer("/id"),
                owned: "thing".to_owned(),
                or_when: vec![Equals {
                    at: pointer("/labels/host"),
                    equals: Tree::parse(&json!("{host}")).unwrap(),
                }],
            }),
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    fn passed(rows: bool, value: Value) -> Value {
        let (plugin, owned) = ("p".parse().unwrap(), Ours(BTreeSet::from(["a"])));
        let facts = Facts {
            host: "me",
            plugin: &plugin,
            op: None,
            nonce: None,
            terms: None,
            workspace: None,
            owned: &owned,
        };
        answer(&rule(rows), &facts, &Arguments::default(), value)
    }

    #[test]
    fn rows_of_others_and_what_is_not_named_are_gone() {
        let value = json!({"total": 4, "list": [
            {"id": "a", "secret": 1, "env": {"A": 1, "SECRET": 2}},
            {"id": "b"}, {"id": "c", "labels": {"host": "me"}}, {"id": "d", "labels": {"host": "you"}}, {"labels": {}}, 7
        ]});
        assert_eq!(
            passed(true, value.clone()),
            json!({"list": [{"id": "a", "env": {"A": 1}}, {"id": "c"}]})
        );
        let ids = passed(false, value);
        assert_eq!(ids["list"].as_array().unwrap().len(), 5);
    }

    #[test]
    fn what_is_no_list_has_no_rows() {
        for value in [
            json!({"list": {"x": {"id": "b"}}}),
            json!([{"id": "b"}]),
            json!("b"),
            json!({}),
        ] {
            assert_eq!(passed(true, value), json!(null));
        }
    }
}
