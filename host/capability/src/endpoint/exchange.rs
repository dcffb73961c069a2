//! One request and its answer: sent in the host's words, learned from, and passed on as far as the rule
//! lets it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleet_model::{Error, ErrorKind};
use futures::future::{Either, select};
use serde_json::Value;

use super::answer::{headers, parsed, refused, text};
use super::facts::{Fact, Facts};
use super::job::{self, Course, Order};
use super::message::message;
use super::owned::{self, Thing, name_of};
use super::policy::path::Segment;
use super::policy::{Action, Adopt, Effect, JobRule, ResponseBody, Rule, SignalRule};
use super::project;
use super::request::{Request, encode_segment};
use super::service::{Call, Inner, Response, Service, blocking};
use super::signal::{self, Told};
use super::transport::{Again, Answer, Message, odd};
use super::verdict::{Allowed, Mode, Refused, Why};

/// How often a service is asked for the pid of what it says it runs, and the pause in between: 5 s.
const PID_LOOKS: usize = 250;
const PID_PAUSE: Duration = Duration::from_millis(20);

/// A request that is to be made.
pub(super) struct Exchange<'a> {
    pub(super) host: &'a Inner,
    pub(super) service: &'a Service,
    pub(super) call: &'a Call,
    pub(super) facts: &'a Facts<'a>,
    pub(super) request: &'a Request,
    pub(super) mode: Mode,
}

impl Exchange<'_> {
    /// Does what is allowed.
    pub(super) async fn run(&self, allowed: &Allowed<'_>) -> Result<Response, Error> {
        match &allowed.rule.action {
            Action::Send if allowed.rule.once => self.once(allowed).await,
            Action::Send => self.exchange(allowed).await.map(|(response, _)| response),
            Action::Forget => self.forget(allowed).await,
            Action::Signal(rule) => self.signal(rule, allowed).await,
            Action::Job(rule) => self.job(rule, allowed).await,
            Action::Stream(_) => Err(Error::internal("bad-rule", "a stream is opened, not asked")),
        }
    }

    /// The same op with the same path and query is answered once.
    async fn once(&self, allowed: &Allowed<'_>) -> Result<Response, Error> {
        let op = self
            .call
            .op
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let target = allowed.outgoing.target();
        let name = name_of(&[self.call.plugin.as_str(), allowed.rule(), &op, &target]);
        let turn = self.service.turn(&name);
        let _turn = turn.lock().await;
        if let Some(answer) = self.service.book.answer(&name) {
            return Ok(Response {
                status: answer.status,
                headers: answer.headers,
                body: answer.body.into_bytes(),
                attributes: BTreeMap::new(),
            });
        }
        let (response, made) = self.exchange(allowed).await?;
        if (200..300).contains(&response.status) {
            let answer = owned::Answer {
                status: response.status,
                headers: response.headers.clone(),
                body: String::from_utf8_lossy(&response.body).into_owned(),
                made,
            };
            let book = self.service.book.clone();
            blocking(move || book.keep(&name, answer)).await?;
        }
        Ok(response)
    }

    /// Sends it; answers what came back and what was made.
    async fn exchange(
        &self,
        allowed: &Allowed<'_>,
    ) -> Result<(Response, Option<(String, String)>), Error> {
        let rule = allowed.rule;
        let message = message(self.host, self.call, allowed).await?;
        let again = match rule.effect {
            Effect::Read => Again::Fine,
            Effect::Write => Again::Never,
        };
        let answer = self.sent(rule, &message, again).await?;
        let status = answer.status;
        if (200..300).contains(&status) || status == 404 {
            self.release(allowed).await?;
        }
        if !rule.response.is_success(status) {
            return Ok((refused(rule, &answer)?, None));
        }
        let value = match rule.response.body {
            _ if rule.learn.is_none()
                && rule.adopt.is_none()
                && rule.response.body != ResponseBody::Json =>
            {
                None
            }
            _ if answer.body.trim_ascii().is_empty() => None,
            _ => Some(parsed(rule, &answer.body)?),
        };
        let mut made = None;
        if (200..300).contains(&status) {
            if let Some(adopt) = &rule.adopt {
                made = Some(self.adopt(adopt, allowed, value.as_ref()).await?);
            }
            if let Some(learn) = &rule.learn {
                let id = value.as_ref().and_then(|value| learn.id.get(value));
                let id = id.and_then(Value::as_str).unwrap_or_default();
                made = Some(self.learn(&learn.sort, id, allowed).await?);
            }
        }
        let body = match (rule.response.body, value) {
            (ResponseBody::None, _) | (ResponseBody::Json, None) => Vec::new(),
            (ResponseBody::Json, Some(value)) => {
                project::answer(&rule.response, self.facts, &allowed.arguments, value)
                    .to_string()
                    .into_bytes()
            }
            (ResponseBody::Text, _) => text(&answer.body)?.into_bytes(),
        };
        let response = Response {
            status,
            headers: headers(rule, &answer),
            body,
            attributes: BTreeMap::new(),
        };
        Ok((response, made))
    }

    /// Sends a message in the time its rule has.
    async fn sent(&self, rule: &Rule, message: &Message, again: Again) -> Result<Answer, Error> {
        let work = async {
            let place = self.service.places.acquire().await;
            let answer = self
                .service
                .transport
                .exchange(message, rule.bounds.response_bytes, again)
                .await;
            drop(place);
            answer
        };
        within(self.host, rule.bounds.timeout_ms, work).await
    }

    /// Something was made.
    async fn learn(
        &self,
        sort: &str,
        id: &str,
        allowed: &Allowed<'_>,
    ) -> Result<(String, String), Error> {
        let known = self.call.target.policy.sorts.get(sort);
        let parent = known.and_then(|sort| sort.parent.as_ref());
        if !known.is_some_and(|sort| sort.is_id(id)) {
            return Err(odd(&format!(
                "it holds no id of a {sort} where the policy looks for one"
            )));
        }
        let op = self.call.op.as_ref();
        let thing = Thing {
            plugin: self.call.plugin.clone(),
            sort: sort.to_owned(),
            id: id.to_owned(),
            workload: op.map(|op| op.item.key.clone()).unwrap_or_default(),
            parent: parent
                .and_then(|parent| allowed.ids.iter().find(|(sort, _)| sort == parent).cloned()),
            op: op.map(ToString::to_string).unwrap_or_default(),
            begun: BTreeSet::new(),
        };
        let book = self.service.book.clone();
        blocking(move || book.learn(&thing)).await?;
        Ok((sort.to_owned(), id.to_owned()))
    }

    /// Something was found that may be ours.
    async fn adopt(
        &self,
        adopt: &Adopt,
        allowed: &Allowed<'_>,
        value: Option<&Value>,
    ) -> Result<(String, String), Error> {
        let id = value
            .and_then(|value| adopt.id.get(value))
            .and_then(Value::as_str);
        let id = id.filter(|id| allowed.arguments.path.values().any(|given| given == id));
        let workload = self
            .call
            .op
            .as_ref()
            .map(|op| op.item.key.clone())
            .unwrap_or_default();
        if let Some(id) = id {
            let owner = self.facts.owned.owner(&adopt.sort, id);
            if owner.is_some_and(|owner| owner.workload == workload) {
                return Ok((adopt.sort.clone(), id.to_owned()));
            }
            let is_ours = value.is_some_and(|value| {
                let nonces = self.service.book.nonces(&self.call.plugin, &workload);
                nonces.iter().any(|nonce| {
                    let facts = Facts {
                        op: Some(&nonce.op),
                        nonce: Some(&nonce.nonce),
                        host: self.facts.host,
                        plugin: self.facts.plugin,
                        terms: None,
                        workspace: None,
                        owned: self.facts.owned,
                    };
                    project::is_so(&adopt.when, &facts, &allowed.arguments, value)
                })
            });
            if is_ours {
                return self.learn(&adopt.sort, id, allowed).await;
            }
        }
        let reason = format!(
            "it is no {} that this host made for that workload",
            adopt.sort
        );
        let refused = Refused {
            why: Why::NotAdoptable,
            rule: Some(allowed.rule.name.clone()),
            at: "answer".to_owned(),
            reason: reason.clone(),
            allowed: "what holds the nonce of a create, and all else the policy's `when` names"
                .to_owned(),
        };
        let now_ms = self.host.options.clock.unix_ms();
        self.host
            .trace
            .refused(self.call, self.mode, self.request, &refused, now_ms);
        let Call {
            plugin, endpoint, ..
        } = self.call;
        Err(Error::denied(
            refused.code(),
            format!("`{plugin}` may not take that over at the endpoint `{endpoint}`: {reason}"),
        )
        .with("rule", allowed.rule()))
    }

    /// What the path names is not owned any more, where the rule says so.
    async fn release(&self, allowed: &Allowed<'_>) -> Result<(), Error> {
        let Some(sort) = &allowed.rule.releases else {
            return Ok(());
        };
        let path = &allowed.arguments.path;
        let ids = allowed
            .ids
            .iter()
            .filter(|(known, id)| known == sort && path.values().any(|given| given == id));
        for (sort, id) in ids {
            let (book, sort, id) = (self.service.book.clone(), sort.clone(), id.clone());
            let gone = blocking(move || book.release(&sort, &id)).await?;
            self.service.close(&gone);
        }
        Ok(())
    }

    async fn forget(&self, allowed: &Allowed<'_>) -> Result<Response, Error> {
        self.release(allowed).await?;
        Ok(done())
    }

    /// Asks for a pid, and signals what has it.
    async fn signal(&self, rule: &SignalRule, allowed: &Allowed<'_>) -> Result<Response, Error> {
        let say = |fact: &Fact| match fact {
            Fact::Parent => allowed.parent.clone(),
            fact => self.facts.say(fact, &allowed.arguments),
        };
        let holds = rule.holds.render(&say).map_err(|missing| {
            Error::internal("bad-rule", format!("the fact `{}` is not there", missing.0))
        })?;
        let name = allowed
            .arguments
            .query
            .get(&rule.signal)
            .cloned()
            .unwrap_or_default();
        let to = rule.to;
        let mut held: Option<signal::Held> = None;
        for _ in 0..PID_LOOKS {
            let answer = match self.look_for_pid(rule, allowed).await? {
                Ok(value) => value,
                Err(answer) => return Ok(answer),
            };
            match signal::pid_in(&answer, rule) {
                Told::Pid(pid) => match held.take().filter(|held| held.is(pid)) {
                    // Held before the service said so once more, it is what the service means.
                    Some(held) => {
                        blocking(move || held.send(&holds, &name, to)).await?;
                        return Ok(done());
                    }
                    None => held = Some(blocking(move || signal::hold(pid)).await?),
                },
                Told::NotYet => self.host.options.clock.sleep(PID_PAUSE).await,
                Told::Ended => return Err(signal::gone()),
            }
        }
        Err(Error::unavailable(
            "no-pid",
            "the service says that it runs, but not yet as which process: try again",
        ))
    }

    /// What the service says of the process, or its refusal.
    async fn look_for_pid(
        &self,
        rule: &SignalRule,
        allowed: &Allowed<'_>,
    ) -> Result<Result<Value, Response>, Error> {
        let look =
            self.call.target.policy.rule(&rule.rule).ok_or_else(|| {
                Error::internal("bad-rule", "the rule that tells the pid is gone")
            })?;
        let request = Request::new(&look.method, &path_of(look, &allowed.arguments.path));
        let asked = self
            .host
            .decide(self.call, self.facts, Mode::Get, &request)?;
        let message = message(self.host, self.call, &asked).await?;
        let answer = self.sent(asked.rule, &message, Again::Fine).await?;
        if answer.status == 404 {
            return Err(signal::gone());
        }
        if !asked.rule.response.is_success(answer.status) {
            return refused(asked.rule, &answer).map(Err);
        }
        parsed(asked.rule, &answer.body).map(Ok)
    }

    async fn job(&self, rule: &JobRule, allowed: &Allowed<'_>) -> Result<Response, Error> {
        let of = allowed.rule;
        let target = allowed.outgoing.target();
        let name = name_of(&[self.call.plugin.as_str(), &of.name, &target]);
        let message = message(self.host, self.call, allowed).await?;
        let order = || Order {
            message,
            rule: rule.clone(),
            timeout_ms: of.bounds.timeout_ms,
            most: of.bounds.response_bytes,
        };
        let clock = &self.host.options.clock;
        let op = self.call.op.as_ref();
        let op = op.map(ToString::to_string).unwrap_or_default();
        let progress = self
            .service
            .jobs
            .ask(&name, &op, &self.service.transport, clock, order)?;
        let (status, word) = match progress.course {
            Course::Running => (202, "running"),
            Course::Done => (200, "done"),
            Course::CutShort => (200, "cut-short"),
            Course::SaidFailed => (200, "failed"),
            Course::Refused(answer) => return refused(of, &answer),
            Course::Failed(error) => return Err(error),
        };
        Ok(Response {
            status,
            headers: Vec::new(),
            body: job::body(&of.response, &progress.lines),
            attributes: BTreeMap::from([("job".to_owned(), word.to_owned())]),
        })
    }
}

fn done() -> Response {
    Response {
        status: 204,
        ..Response::default()
    }
}

/// A path of a rule with these parts.
fn path_of(rule: &Rule, parts: &BTreeMap<String, String>) -> String {
    let segments = rule.path.segments().iter().map(|segment| match segment {
        Segment::Literal(text) => encode_segment(text),
        Segment::One(name) => encode_segment(parts.get(name).map_or("", String::as_str)),
        Segment::Many(name) => {
            let text = parts.get(name).map_or("", String::as_str);
            text.split('/')
                .map(encode_segment)
                .collect::<Vec<_>>()
                .join("/")
        }
    });
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
}

/// Work that ends in time.
pub(super) async fn within<T>(
    host: &Inner,
    timeout_ms: u64,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let patience = host.options.clock.sleep(Duration::from_millis(timeout_ms));
    match select(Box::pin(work), patience).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(Error::new(
            ErrorKind::Deadline,
            "endpoint-slow",
            format!("the service did not answer in {timeout_ms} ms"),
        )),
    }
}
