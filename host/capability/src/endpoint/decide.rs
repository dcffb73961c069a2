//! What becomes of a request: the rule it fits and the words the host sends for it, or the refusal.
//!
//! Pure: policy, facts and request in, verdict out. Nothing of the request is sent as it came; what
//! passes is taken apart, checked, and put together anew.

mod body;
mod texts;

use std::collections::BTreeMap;

use super::facts::{Arguments, Fact, Facts, When};
use super::policy::{Demand, Effect, Policy, Rule, TextRule};
use super::request::{Request, encode_segment, segments};
use super::template::Missing;
use super::verdict::{Allowed, Mode, Outgoing, Refused, Why};

/// The longest path with its query that is sent, in bytes: what services read at least, and what
/// `hyper` takes.
const MAX_TARGET: usize = 32 * 1024;

/// Decides.
///
/// # Errors
/// Why not, and what would be allowed.
pub fn decide<'p>(
    policy: &'p Policy,
    facts: &Facts<'_>,
    mode: Mode,
    request: &Request,
) -> Result<Allowed<'p>, Refused> {
    let no_rule = |at: &str, reason: String| Refused {
        why: Why::NoRule,
        rule: None,
        at: at.to_owned(),
        reason,
        allowed: skeleton(mode, request),
    };
    let is_method = (1..=16).contains(&request.method.len())
        && request.method.bytes().all(|c| c.is_ascii_uppercase());
    if !is_method {
        return Err(no_rule("method", "it must be in capitals".to_owned()));
    }
    let path = segments(&request.path).map_err(|why| no_rule("path", why))?;
    let mut refused = None;
    let mut elsewhere = None;
    for rule in policy
        .rules
        .iter()
        .filter(|rule| rule.method == request.method)
    {
        let Some(taken) = rule.path.take(&path) else {
            continue;
        };
        let of = Mode::of(rule);
        if of != mode {
            elsewhere.get_or_insert((rule, of));
            continue;
        }
        let taken: BTreeMap<String, String> = taken
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text))
            .collect();
        let looking = Looking {
            policy,
            rule,
            facts,
            request,
        };
        match looking.at(taken, &path) {
            Ok(allowed) => return Ok(allowed),
            Err(no) => {
                refused.get_or_insert(no);
            }
        }
    }
    Err(refused.unwrap_or_else(|| match elsewhere {
        Some((rule, of)) => Refused {
            why: Why::Rule,
            rule: Some(rule.name.clone()),
            at: "call".to_owned(),
            reason: format!("it is asked by `{}`", mode.as_str()),
            allowed: format!("`{}`", of.as_str()),
        },
        None => no_rule("path", "no rule has this method and path".to_owned()),
    }))
}

/// The begin of a rule that would be for it.
fn skeleton(mode: Mode, request: &Request) -> String {
    let clip =
        |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(200).collect() };
    let effect = match mode {
        Mode::Send => "write",
        Mode::Get | Mode::Open => "read",
    };
    format!(
        "a rule with method = {:?}, path = {:?}, effect = \"{effect}\"",
        clip(&request.method),
        clip(&request.path)
    )
}

/// One rule and the request it is looked at for.
struct Looking<'p, 'a> {
    policy: &'p Policy,
    rule: &'p Rule,
    facts: &'a Facts<'a>,
    request: &'a Request,
}

impl<'p> Looking<'p, '_> {
    fn no(
        &self,
        at: impl Into<String>,
        reason: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Refused {
        Refused {
            why: Why::Rule,
            rule: Some(self.rule.name.clone()),
            at: at.into(),
            reason: reason.into(),
            allowed: allowed.into(),
        }
    }

    fn at(&self, taken: BTreeMap<String, String>, path: &[String]) -> Result<Allowed<'p>, Refused> {
        self.op()?;
        let mut ids = Vec::new();
        let mut parent = None;
        for (name, text) in &taken {
            let at = format!("path.{name}");
            let Some(rule) = self.rule.parameters.get(name) else {
                return Err(self.no(at, "nothing is said of it", "nothing"));
            };
            self.fits(&at, rule, text)?;
            if let Demand::Owned(sort) = &rule.demand {
                let owner = self.facts.owned.owner(sort, text);
                parent = parent.or_else(|| owner.and_then(|owner| owner.parent));
                ids.push((sort.clone(), text.clone()));
            }
        }
        let given = self.given_query()?;
        for (key, text) in &given {
            if let Some(TextRule {
                demand: Demand::Owned(sort),
                ..
            }) = self.rule.query.get(key)
            {
                ids.push((sort.clone(), text.clone()));
            }
        }
        let arguments = Arguments {
            path: taken,
            query: given,
        };
        let query = self.query(&arguments)?;
        let headers = self.headers(&arguments)?;
        let body = self.body(&arguments)?;
        let encoded: Vec<String> = path.iter().map(|segment| encode_segment(segment)).collect();
        let outgoing = Outgoing {
            method: self.rule.method.clone(),
            path: format!("/{}", encoded.join("/")),
            query,
            headers,
            body,
        };
        let size = outgoing.target().len();
        if size > MAX_TARGET {
            let reason = format!("with its query it has {size} bytes");
            return Err(self.no("path", reason, format!("{MAX_TARGET} bytes")));
        }
        Ok(Allowed {
            rule: self.rule,
            outgoing,
            arguments,
            ids,
            parent,
        })
    }

    /// Whether the call has the op that the rule needs.
    fn op(&self) -> Result<(), Refused> {
        let Some(op) = self.facts.op else {
            let can_come_back = self.rule.stream().is_some_and(|stream| stream.keep);
            return if self.rule.effect == Effect::Read || can_come_back {
                Ok(())
            } else {
                Err(self.no(
                    "op",
                    "it changes something and the call was given no op",
                    "the call's op",
                ))
            };
        };
        match &self.rule.verbs {
            Some(verbs) if !verbs.contains(&op.verb) => {
                let words: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
                Err(self.no(
                    "op",
                    format!("its verb is `{}`", op.verb.as_str()),
                    words.join(", "),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is in order that the host cannot say a fact: not where it knows it and it does not
    /// fit, nor where it knows nothing of the workload.
    fn may_be_absent(&self, Missing(name): &Missing, arguments: &Arguments) -> bool {
        Fact::named(name).is_ok_and(|fact| {
            let is_known = self.facts.say(&fact, arguments).is_some();
            let is_blind = fact.when() == When::Create && self.facts.terms.is_none();
            !is_known && !is_blind
        })
    }

    fn lacks(&self, at: impl Into<String>, Missing(name): &Missing) -> Refused {
        self.no(
            at,
            format!("the host does not have the fact `{name}` here, or not as a number that fits"),
            "a call that has it",
        )
    }
}

/// A text of the plugin, for a message.
fn clip(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(200).map(plain).collect()
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
