//! The body of a request: read strictly, valid by the rule's schema, with what the host puts in.

use serde_json::{Map, Value};

use super::{Looking, clip};
use crate::endpoint::facts::{Arguments, Fact, of_port};
use crate::endpoint::json;
use crate::endpoint::policy::{BodyRule, Force, Forced};
use crate::endpoint::template::Missing;
use crate::endpoint::verdict::Refused;

impl Looking<'_, '_> {
    pub(super) fn body(&self, arguments: &Arguments) -> Result<Option<Value>, Refused> {
        let bounds = self.rule.bounds;
        let rule = match (&self.rule.body, &self.request.body) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(self.no("body", "there must be none", "no body")),
            (Some(rule), _) => rule,
        };
        let given = match (&rule.schema, self.request.body.as_deref()) {
            (None, Some(_)) => return Err(self.no("body", "the host says it itself", "no body")),
            (Some(_), None) if !rule.is_optional => {
                return Err(self.no("body", "it is missing", "a body by the rule's schema"));
            }
            (_, given) => given.unwrap_or("{}"),
        };
        if given.len() > bounds.request_bytes {
            return Err(self.no(
                "body",
                format!("it has {} bytes", given.len()),
                format!("{} bytes", bounds.request_bytes),
            ));
        }
        let mut body = json::parse(given, bounds.depth).map_err(|why| {
            let allowed = format!("JSON, no key twice, {} levels", bounds.depth);
            self.no("body", clip(&why), allowed)
        })?;
        if let Some(schema) = &rule.schema
            && let Some(error) = schema.iter_errors(&body).next()
        {
            let at = format!("body{}", error.instance_path());
            let allowed = format!("what the schema says at {}", error.schema_path());
            return Err(self.no(clip(&at), clip(&error.to_string()), allowed));
        }
        self.force(rule, arguments, &mut body)?;
        let size = body.to_string().len();
        if size > bounds.request_bytes {
            return Err(self.no(
                "body",
                format!("with what is forced it has {size} bytes"),
                format!("{} bytes", bounds.request_bytes),
            ));
        }
        Ok(Some(body))
    }

    fn force(
        &self,
        rule: &BodyRule,
        arguments: &Arguments,
        body: &mut Value,
    ) -> Result<(), Refused> {
        let say = |fact: &Fact| self.facts.say(fact, arguments);
        for force in &rule.force {
            let value = match &force.what {
                Forced::Value(tree) => tree.render(&say),
                Forced::Ports(tree) => self
                    .each_port(arguments, |say| tree.render(say))
                    .map(Value::Array),
                Forced::PortsBy(key, tree) => self
                    .each_port(arguments, |say| Ok((key.render(say)?, tree.render(say)?)))
                    .map(|pairs| Value::Object(joined(pairs))),
            };
            let value = match value {
                Ok(value) => Some(value),
                Err(missing) => self.absent(force, arguments, &missing)?,
            };
            match value {
                None => force.at.remove(body),
                Some(value) => force.at.put(body, &value).map_err(|_| {
                    self.no(
                        format!("body{}", force.at.as_str()),
                        "something that is no object is in the way of what is forced",
                        "an object there",
                    )
                })?,
            }
        }
        Ok(())
    }

    /// What stands there where a fact is not there; nothing, where the workload has no such limit.
    fn absent(
        &self,
        force: &Force,
        arguments: &Arguments,
        missing: &Missing,
    ) -> Result<Option<Value>, Refused> {
        let at = || format!("body{}", force.at.as_str());
        if !self.may_be_absent(missing, arguments) {
            return Err(self.lacks(at(), missing));
        }
        let say = |fact: &Fact| self.facts.say(fact, arguments);
        match &force.otherwise {
            Some(otherwise) => otherwise
                .render(&say)
                .map(Some)
                .map_err(|missing| self.lacks(at(), &missing)),
            None if Fact::named(&missing.0).is_ok_and(|fact| fact.is_limit()) => Ok(None),
            None => Err(self.lacks(at(), missing)),
        }
    }

    fn each_port<T>(
        &self,
        arguments: &Arguments,
        make: impl Fn(&dyn Fn(&Fact) -> Option<String>) -> Result<T, Missing>,
    ) -> Result<Vec<T>, Missing> {
        let terms = self.facts.terms.ok_or_else(|| Missing("port".to_owned()))?;
        terms
            .ports
            .iter()
            .map(|port| {
                make(&|fact| of_port(fact, port).or_else(|| self.facts.say(fact, arguments)))
            })
            .collect()
    }
}

/// Members by their names; lists of one name become one.
fn joined(pairs: Vec<(String, Value)>) -> Map<String, Value> {
    let mut members = Map::new();
    for (key, value) in pairs {
        match (members.get_mut(&key), value) {
            (Some(Value::Array(items)), Value::Array(more)) => items.extend(more),
            (_, value) => {
                members.insert(key, value);
            }
        }
    }
    members
}
