//! The parts of a rule: each is looked at with what the rule says beside it, so that no fact is forced
//! that the host does not have when the rule is used.

use std::collections::{BTreeMap, BTreeSet};

use fleet_model::Verb;
use serde_json::Value;

use super::check::{Shared, pointers, schema, whole};
use super::file::{
    AdoptTable, BodyTable, DirectionWord, EqualsTable, ForceTable, FormatWord, OutputWord,
    SignalTable, StreamTable, TextTable,
};
use super::path::{PathTemplate, Segment};
use super::{
    Adopt, BodyRule, Demand, Direction, Effect, Equals, Force, Forced, Output, Resume, SignalRule,
    SignalTo, Sort, StreamRule, TextRule, TimeFormat, closed, compile,
};
use crate::endpoint::facts::{Fact, When};
use crate::endpoint::framing;
use crate::endpoint::pointer::Pointer;
use crate::endpoint::template::{Template, Tree};

/// Which facts are there beside those of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    None,
    Port,
    Signal,
}

/// A rule while it is read.
pub(super) struct About<'a> {
    pub(super) effect: Effect,
    pub(super) verbs: Option<&'a [Verb]>,
    pub(super) path: PathTemplate,
    pub(super) query: BTreeSet<String>,
    pub(super) shared: &'a Shared,
}

impl About<'_> {
    /// Whether these facts are there when the rule is used.
    fn facts(&self, facts: &[&Fact], extra: Extra) -> Result<(), String> {
        let is_create = self.verbs == Some(&[Verb::Create]);
        facts.iter().try_for_each(|fact| {
            let (is_there, needs) = match (fact, fact.when()) {
                (Fact::Path(name), _) => (
                    self.path.names().any(|known| known == name),
                    "a parameter of the path of this name",
                ),
                (Fact::Query(name), _) => {
                    (self.query.contains(name), "a key of the query of this name")
                }
                (_, When::Always) => (true, ""),
                (_, When::Write) => (self.effect == Effect::Write, "effect = \"write\""),
                (_, When::Create) => (is_create, "verbs = [\"create\"]"),
                (_, When::Port) => (extra == Extra::Port, "each = \"ports\""),
                (_, When::Signal) => (extra == Extra::Signal, "`holds` of a signal"),
            };
            if is_there {
                Ok(())
            } else {
                Err(format!("the fact `{}` needs {needs}", fact.name()))
            }
        })
    }

    fn template(&self, text: &str, extra: Extra) -> Result<Template, String> {
        let template = Template::parse(text)?;
        let facts: Vec<&Fact> = template.facts().collect();
        self.facts(&facts, extra)?;
        Ok(template)
    }

    fn tree(&self, value: &Value, extra: Extra) -> Result<Tree, String> {
        let tree = Tree::parse(value)?;
        self.facts(&tree.facts(), extra)?;
        Ok(tree)
    }

    /// A pointer to one place.
    pub(super) fn one(&self, text: &str) -> Result<Pointer, String> {
        let pointer = Pointer::parse(text)?;
        if pointer.is_many() {
            return Err(format!("`{text}` must name one place, without `*`"));
        }
        Ok(pointer)
    }

    pub(super) fn equals(
        &self,
        tables: &[EqualsTable],
        extra: Extra,
    ) -> Result<Vec<Equals>, String> {
        tables
            .iter()
            .map(|table| {
                Ok(Equals {
                    at: self.one(&table.at)?,
                    equals: self.tree(&table.equals, extra)?,
                })
            })
            .collect()
    }

    pub(super) fn text(&self, place: &str, table: &TextTable) -> Result<TextRule, String> {
        let wrong = |why: String| format!("{place}: {why}");
        let given = [
            table.pattern.is_some(),
            table.one_of.is_some(),
            table.owned.is_some(),
            table.force.is_some(),
            table.force_json.is_some(),
        ];
        if given.into_iter().filter(|is_there| *is_there).count() != 1 {
            return Err(wrong(
                "say one of: pattern, one_of, owned, force, force_json".to_owned(),
            ));
        }
        let demand = if let Some(pattern) = &table.pattern {
            Demand::Pattern {
                regex: whole(pattern).map_err(wrong)?,
                text: pattern.clone(),
                not: match &table.not {
                    Some(not) => Some((whole(not).map_err(wrong)?, not.clone())),
                    None => None,
                },
            }
        } else if let Some(texts) = &table.one_of {
            Demand::OneOf(texts.clone())
        } else if let Some(sort) = &table.owned {
            self.shared.sort(sort).map_err(wrong)?;
            Demand::Owned(sort.clone())
        } else if let Some(text) = &table.force {
            Demand::Force(self.template(text, Extra::None).map_err(wrong)?)
        } else {
            let value = table.force_json.clone().unwrap_or_default();
            Demand::ForceJson(self.tree(&value, Extra::None).map_err(wrong)?)
        };
        if table.not.is_some() && table.pattern.is_none() {
            return Err(wrong("`not` is for what fits a `pattern`".to_owned()));
        }
        let is_query = place.starts_with("query.");
        if table.send.is_some() && (!is_query || demand.is_forced()) {
            return Err(wrong(
                "`send` is for keys of the query that the plugin gives".to_owned(),
            ));
        }
        if table.optional_facts && !demand.is_forced() {
            return Err(wrong("`optional_facts` is for what is forced".to_owned()));
        }
        if table.required && demand.is_forced() {
            return Err(wrong("`required` is for what the plugin gives".to_owned()));
        }
        Ok(TextRule {
            demand,
            is_required: table.required,
            is_sent: table.send.unwrap_or(true),
            is_optional: table.optional_facts,
        })
    }

    pub(super) fn parameters(
        &self,
        own: &BTreeMap<String, TextTable>,
    ) -> Result<BTreeMap<String, TextRule>, String> {
        if let Some(strange) = own
            .keys()
            .find(|name| !self.path.names().any(|n| n == name.as_str()))
        {
            return Err(format!(
                "parameters.{strange}: the path has no `{{{strange}}}`"
            ));
        }
        let mut rules = BTreeMap::new();
        for segment in self.path.segments() {
            let (name, is_many) = match segment {
                Segment::Literal(_) => continue,
                Segment::One(name) => (name, false),
                Segment::Many(name) => (name, true),
            };
            let table = own.get(name).or_else(|| self.shared.parameters.get(name));
            let table = table.ok_or_else(|| {
                format!("the path has `{{{name}}}`: say what it may be, in `parameters` of the rule or in [parameters.{name}]")
            })?;
            let rule = self.text(&format!("parameters.{name}"), table)?;
            if rule.demand.is_forced() {
                return Err(format!(
                    "parameters.{name}: a part of the path cannot be forced: write it into the path"
                ));
            }
            if is_many && matches!(rule.demand, Demand::Owned(_)) {
                return Err(format!("parameters.{name}: an id is one segment"));
            }
            rules.insert(name.clone(), rule);
        }
        Ok(rules)
    }

    pub(super) fn body(&self, table: &BodyTable) -> Result<BodyRule, String> {
        let names: BTreeSet<&str> = self.shared.schemas.keys().map(String::as_str).collect();
        let validator = table
            .schema
            .as_ref()
            .map(|text| {
                let mut schema = schema(&text.0)?;
                closed::check(&schema, &names)?;
                if let Value::Object(members) = &mut schema {
                    let shared = self.shared.schemas.clone().into_iter().collect();
                    members.insert("schemas".to_owned(), Value::Object(shared));
                }
                compile(&schema)
            })
            .transpose()
            .map_err(|why| format!("body.schema: {why}"))?;
        if validator.is_none() && table.force.is_empty() {
            return Err("body: say `schema`, `force` or both".to_owned());
        }
        if !table.secrets.is_empty() && self.verbs != Some(&[Verb::Create]) {
            return Err(
                "body.secrets needs verbs = [\"create\"]: only then the host knows them".to_owned(),
            );
        }
        let force = table.force.iter();
        let force = force
            .map(|force| {
                self.force(force)
                    .map_err(|why| format!("body.force {}: {why}", force.at))
            })
            .collect::<Result<_, _>>()?;
        Ok(BodyRule {
            schema: validator,
            is_optional: table.optional,
            force,
            secrets: pointers(&table.secrets)?,
        })
    }

    fn force(&self, table: &ForceTable) -> Result<Force, String> {
        let at = Pointer::parse(&table.at)?;
        let what = match (table.each, &table.key) {
            (None, None) => Forced::Value(self.tree(&table.value, Extra::None)?),
            (None, Some(_)) => return Err("`key` needs `each`".to_owned()),
            (Some(_), _) if self.verbs != Some(&[Verb::Create]) => {
                return Err("`each` needs verbs = [\"create\"]".to_owned());
            }
            (Some(_), _) if table.otherwise.is_some() => {
                return Err("`otherwise` is not for `each`".to_owned());
            }
            (Some(_), None) => Forced::Ports(self.tree(&table.value, Extra::Port)?),
            (Some(_), Some(key)) => Forced::PortsBy(
                self.template(key, Extra::Port)?,
                self.tree(&table.value, Extra::Port)?,
            ),
        };
        let otherwise = table.otherwise.as_ref();
        let otherwise = otherwise
            .map(|value| self.tree(value, Extra::None))
            .transpose()?;
        Ok(Force {
            at,
            what,
            otherwise,
        })
    }

    pub(super) fn adopt(
        &self,
        table: &AdoptTable,
        parameters: &BTreeMap<String, TextRule>,
    ) -> Result<Adopt, String> {
        let sort = self.shared.sort(&table.sort)?;
        self.parent_is_named(sort, parameters)?;
        let when = self.equals(&table.when, Extra::None)?;
        let knows = |equals: &Equals| equals.equals.facts().contains(&&Fact::Nonce);
        if !when.iter().any(knows) {
            return Err("adopt.when must look for `{nonce}`: all else can be forged".to_owned());
        }
        Ok(Adopt {
            sort: table.sort.clone(),
            id: self.one(&table.id)?,
            when,
        })
    }

    /// Whether the path says in what a new thing of this sort lives.
    pub(super) fn parent_is_named(
        &self,
        sort: &Sort,
        parameters: &BTreeMap<String, TextRule>,
    ) -> Result<(), String> {
        let is_named = |parent: &String| {
            let mut demands = parameters.values().map(|text| &text.demand);
            demands.any(|demand| matches!(demand, Demand::Owned(sort) if sort == parent))
        };
        match &sort.parent {
            Some(parent) if !is_named(parent) => Err(format!(
                "what is made lives in a thing of the sort `{parent}`: the path needs a parameter with owned = \"{parent}\""
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn stream(&self, table: &StreamTable) -> Result<StreamRule, String> {
        let direction = match table.direction {
            DirectionWord::Out => Direction::Out,
            DirectionWord::Both => Direction::Both,
        };
        if direction == Direction::Both && table.upgrade.is_none() {
            return Err("a stream in both directions needs `upgrade`".to_owned());
        }
        let is_token = |text: &String| {
            !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        };
        if table.upgrade.as_ref().is_some_and(|text| !is_token(text)) {
            return Err("`stream.upgrade` is the name of a protocol: \"tcp\"".to_owned());
        }
        let output = match (table.output, table.times, &table.resume) {
            (OutputWord::Bytes, None, None) => Output::Bytes,
            (OutputWord::Bytes, ..) => {
                return Err(
                    "`stream.times` and `stream.resume` are for output = \"lines\"".to_owned(),
                );
            }
            (OutputWord::Lines, None, None) => Output::Lines,
            (OutputWord::Lines, None, Some(_)) => {
                return Err("`stream.resume` needs `times`".to_owned());
            }
            (OutputWord::Lines, Some(_), resume) => Output::Timed(
                resume
                    .as_ref()
                    .map(|resume| {
                        let mut named = resume.partial.iter().chain([&resume.query]);
                        if let Some(strange) = named.find(|key| !self.query.contains(*key)) {
                            return Err(format!("stream.resume: the query has no key `{strange}`"));
                        }
                        Ok(Resume {
                            query: resume.query.clone(),
                            format: match resume.format {
                                FormatWord::Unix => TimeFormat::Unix,
                                FormatWord::Rfc3339 => TimeFormat::Rfc3339,
                            },
                            partial: resume.partial.clone(),
                        })
                    })
                    .transpose()?,
            ),
        };
        if direction == Direction::Both && output != Output::Bytes {
            return Err("a stream in both directions needs output = \"bytes\"".to_owned());
        }
        if table.keep && (output != Output::Bytes || self.effect != Effect::Write) {
            return Err("`stream.keep` needs output = \"bytes\" and effect = \"write\"".to_owned());
        }
        let names = if table.framing.is_empty() {
            vec![framing::RAW.to_owned()]
        } else {
            table.framing.clone()
        };
        let framings = names
            .into_iter()
            .map(|name| {
                let found = self.shared.framings.get(&name).cloned();
                let found = found.ok_or_else(|| format!("there is no [framings.{name}]"))?;
                Ok((name, found))
            })
            .collect::<Result<_, String>>()?;
        Ok(StreamRule {
            direction,
            upgrade: table.upgrade.clone(),
            framings,
            output,
            keep: table.keep,
        })
    }

    pub(super) fn signal(
        &self,
        table: &SignalTable,
        parameters: &BTreeMap<String, TextRule>,
    ) -> Result<SignalRule, String> {
        if !self.query.contains(&table.signal) {
            return Err(format!(
                "signal.signal: the query has no key `{}`",
                table.signal
            ));
        }
        let owned = |name: &str| match &parameters.get(name)?.demand {
            Demand::Owned(sort) => self.shared.sorts.get(sort),
            _ => None,
        };
        let has_parent = || {
            let mut sorts = parameters.keys().filter_map(|name| owned(name));
            sorts.any(|sort| sort.parent.is_some())
        };
        let holds = self.template(&table.holds, Extra::Signal)?;
        // Whatever else the plugin could say would be the plugin's choice of a process.
        let is_owned = |fact: &Fact| match fact {
            Fact::Parent => has_parent(),
            Fact::Path(name) => owned(name).is_some(),
            _ => false,
        };
        if holds.facts().next().is_none() || !holds.facts().all(is_owned) {
            return Err(
                "signal.holds must name what is owned, and nothing else: {parent} or {path.NAME}"
                    .to_owned(),
            );
        }
        Ok(SignalRule {
            rule: table.rule.clone(),
            pid: self.one(&table.pid)?,
            running: table
                .running
                .as_deref()
                .map(|running| self.one(running))
                .transpose()?,
            holds,
            signal: table.signal.clone(),
            to: if table.group {
                SignalTo::Group
            } else {
                SignalTo::Process
            },
        })
    }
}
