//! The texts of a request: parts of its path, its query, its headers; what the plugin gave and what the
//! host says itself.

use std::collections::BTreeMap;

use super::{Looking, clip};
use crate::endpoint::facts::{Arguments, Fact};
use crate::endpoint::policy::{Demand, TextRule};
use crate::endpoint::request::{MAX_TEXT, is_plain_text};
use crate::endpoint::verdict::{Refused, Why};

impl Looking<'_, '_> {
    /// Whether a text that the plugin gave fits.
    pub(super) fn fits(&self, at: &str, rule: &TextRule, text: &str) -> Result<(), Refused> {
        match &rule.demand {
            Demand::Pattern {
                regex,
                text: pattern,
                not,
            } => {
                let strange = || format!("{:?} does not fit", clip(text));
                match not {
                    _ if !regex.is_match(text) => {
                        Err(self.no(at, strange(), format!("`{pattern}`")))
                    }
                    Some((not, but)) if not.is_match(text) => {
                        Err(self.no(at, strange(), format!("`{pattern}`, but not `{but}`")))
                    }
                    _ => Ok(()),
                }
            }
            Demand::OneOf(texts) if texts.iter().any(|known| known == text) => Ok(()),
            Demand::OneOf(texts) => Err(self.no(
                at,
                format!("{:?} is none of those", clip(text)),
                texts.join(", "),
            )),
            Demand::Owned(sort) => self.is_ours(at, sort, text),
            Demand::Force(_) | Demand::ForceJson(_) => {
                Err(self.no(at, "the host says this itself", "leave it out"))
            }
        }
    }

    fn is_ours(&self, at: &str, sort: &str, id: &str) -> Result<(), Refused> {
        let whole = self
            .policy
            .sorts
            .get(sort)
            .is_some_and(|sort| sort.is_id(id));
        let ours = format!("the whole id of a {sort} that this plugin made through this host");
        if !whole {
            return Err(self.no(at, format!("{:?} is no whole id", clip(id)), ours));
        }
        let Some(owner) = self.facts.owned.owner(sort, id) else {
            return Err(Refused {
                why: Why::NotOwned,
                ..self.no(at, format!("the {sort} {id} is not this plugin's"), ours)
            });
        };
        match self.facts.op {
            Some(op) if op.item.key != owner.workload => Err(self.no(
                at,
                format!("the {sort} {id} belongs to another workload than `{}`, which this call is about", op.item),
                format!("a {sort} of that workload"),
            )),
            _ => Ok(()),
        }
    }

    /// What the plugin gave of the query, checked.
    pub(super) fn given_query(&self) -> Result<BTreeMap<String, String>, Refused> {
        let mut given = BTreeMap::new();
        for (key, text) in &self.request.query {
            let at = format!("query.{}", clip(key));
            let Some(rule) = self.rule.query.get(key) else {
                let known: Vec<&str> = self
                    .rule
                    .query
                    .iter()
                    .filter(|(_, rule)| !rule.demand.is_forced())
                    .map(|(key, _)| key.as_str())
                    .collect();
                return Err(self.no(at, "there is no such key", list(&known)));
            };
            if !is_plain_text(text) {
                return Err(self.no(
                    at,
                    "it holds a control character or is too long",
                    format!("plain text of {MAX_TEXT} bytes"),
                ));
            }
            self.fits(&at, rule, text)?;
            if given.insert(key.clone(), text.clone()).is_some() {
                return Err(self.no(at, "it is there twice", "once"));
            }
        }
        let missing = self
            .rule
            .query
            .iter()
            .find(|(key, rule)| rule.is_required && !given.contains_key(*key));
        match missing {
            Some((key, _)) => {
                Err(self.no(format!("query.{key}"), "it is missing", "it must be given"))
            }
            None => Ok(given),
        }
    }

    /// The query as it is sent, in the order of its keys.
    pub(super) fn query(&self, arguments: &Arguments) -> Result<Vec<(String, String)>, Refused> {
        let mut query = Vec::new();
        for (key, rule) in self.rule.query.iter().filter(|(_, rule)| rule.is_sent) {
            let given = arguments.query.get(key).cloned();
            let text = self
                .forced(&format!("query.{key}"), rule, arguments)?
                .or(given);
            query.extend(text.map(|text| (key.clone(), text)));
        }
        Ok(query)
    }

    /// What the host says, if the rule lets it.
    fn forced(
        &self,
        at: &str,
        rule: &TextRule,
        arguments: &Arguments,
    ) -> Result<Option<String>, Refused> {
        let say = |fact: &Fact| self.facts.say(fact, arguments);
        let text = match &rule.demand {
            Demand::Force(template) => template.render(&say),
            Demand::ForceJson(tree) => tree.render(&say).map(|value| value.to_string()),
            _ => return Ok(None),
        };
        match text {
            Ok(text) if is_plain_text(&text) => Ok(Some(text)),
            Ok(_) => Err(self.no(
                at,
                "what is forced holds a control character or is too long",
                "plain facts",
            )),
            Err(missing) if rule.is_optional && self.may_be_absent(&missing, arguments) => Ok(None),
            Err(missing) => Err(self.lacks(at, &missing)),
        }
    }

    pub(super) fn headers(&self, arguments: &Arguments) -> Result<Vec<(String, String)>, Refused> {
        let mut given = BTreeMap::new();
        for (name, text) in &self.request.headers {
            let lower = name.to_ascii_lowercase();
            let at = format!("header.{}", clip(&lower));
            let Some(rule) = self.rule.headers.get(&lower) else {
                let known: Vec<&str> = self.rule.headers.keys().map(String::as_str).collect();
                return Err(self.no(at, "there is no such header", list(&known)));
            };
            if !is_header_text(text) {
                return Err(self.no(at, "it is no plain text", "visible ASCII"));
            }
            self.fits(&at, rule, text)?;
            if given.insert(lower, text.clone()).is_some() {
                return Err(self.no(at, "it is there twice", "once"));
            }
        }
        let mut headers = Vec::new();
        for (name, rule) in &self.rule.headers {
            let at = format!("header.{name}");
            let text = match self.forced(&at, rule, arguments)? {
                Some(text) => Some(text),
                None => given.remove(name),
            };
            match text {
                Some(text) if is_header_text(&text) => headers.push((name.clone(), text)),
                Some(_) => {
                    let reason = "what is forced is no text of a header";
                    return Err(self.no(at, reason, "visible ASCII"));
                }
                None if rule.is_required => {
                    return Err(self.no(at, "it is missing", "it must be given"));
                }
                None => {}
            }
        }
        Ok(headers)
    }
}

fn is_header_text(text: &str) -> bool {
    text.len() <= MAX_TEXT && text.bytes().all(|c| (0x20..0x7f).contains(&c)) && text.trim() == text
}

fn list(known: &[&str]) -> String {
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}
