//! The values of secrets on a node: asked of the controller when something is about to be started,
//! held in memory only.
//!
//! The newest value is asked for at each start. While the controller is away, the value it gave last
//! serves, so that a workload can be started again; after the host has started anew there is none
//! until the controller is back. Values of secrets that no item here names any more are forgotten.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_capability::secret::no_secret;
use fleet_capability::{Redactor, SecretValue, Secrets};
use fleet_model::{Error, Name};
use fleet_protocol::message::SecretAnswer;
use fleet_seam::Clock;
use tokio::sync::{Notify, oneshot};

/// How long the controller may take to answer: well below what a start as a whole may take, so that the
/// last value can serve in its place.
const PATIENCE: Duration = Duration::from_secs(2);

/// Values of one secret that are kept out of texts: the newest, and the one before, which may still
/// be in use.
const REMEMBERED: usize = 2;

/// Where starts wait for values, and the session takes the questions from.
pub struct SecretDesk {
    clock: Arc<dyn Clock>,
    redactor: Redactor,
    inner: Mutex<Inner>,
    asked: Notify,
}

#[derive(Default)]
struct Inner {
    is_online: bool,
    /// Not yet sent.
    waiting: VecDeque<Question>,
    /// Sent: the controller answers in this order.
    sent: VecDeque<Question>,
    /// The newest value of each secret first.
    known: BTreeMap<Name, Vec<SecretValue>>,
}

struct Question {
    names: BTreeSet<Name>,
    answered: oneshot::Sender<BTreeMap<Name, SecretAnswer>>,
}

impl SecretDesk {
    /// A desk without values; `redactor` is told of those that come.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, redactor: Redactor) -> Self {
        Self {
            clock,
            redactor,
            inner: Mutex::default(),
            asked: Notify::new(),
        }
    }

    /// A session stands: questions can be answered.
    pub(crate) fn opened(&self) {
        self.lock().is_online = true;
    }

    /// The session is over, and with it all questions.
    pub(crate) fn closed(&self) {
        let mut inner = self.lock();
        inner.is_online = false;
        inner.waiting.clear();
        inner.sent.clear();
    }

    /// The next question, once there is one. Cancel-safe: taking it is the last thing it does.
    pub(crate) async fn question(&self) -> BTreeSet<Name> {
        loop {
            let asked = self.asked.notified();
            let taken = {
                let mut inner = self.lock();
                let next = inner.waiting.pop_front();
                next.map(|question| {
                    let names = question.names.clone();
                    inner.sent.push_back(question);
                    names
                })
            };
            if let Some(names) = taken {
                return names;
            }
            asked.await;
        }
    }

    /// The controller has answered the oldest question.
    pub(crate) fn answer(&self, answers: BTreeMap<Name, SecretAnswer>) {
        let question = self.lock().sent.pop_front();
        if let Some(question) = question {
            // Whoever asked may have given up.
            let _ = question.answered.send(answers);
        }
    }

    /// Forgets the values of all secrets but these.
    pub(crate) fn keep(&self, named: &BTreeSet<Name>) {
        let mut inner = self.lock();
        let before = inner.known.len();
        inner.known.retain(|name, _| named.contains(name));
        if inner.known.len() != before {
            self.redactor.know(&inner.known);
        }
    }

    /// Whether any value is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().known.is_empty()
    }

    fn ask(
        &self,
        names: &BTreeSet<Name>,
    ) -> Option<oneshot::Receiver<BTreeMap<Name, SecretAnswer>>> {
        let mut inner = self.lock();
        if !inner.is_online {
            return None;
        }
        let (answered, answer) = oneshot::channel();
        inner.waiting.push_back(Question {
            names: names.clone(),
            answered,
        });
        drop(inner);
        self.asked.notify_one();
        Some(answer)
    }

    fn take(
        &self,
        names: &BTreeSet<Name>,
        mut answers: BTreeMap<Name, SecretAnswer>,
    ) -> Result<BTreeMap<Name, SecretValue>, Error> {
        let mut values = BTreeMap::new();
        for name in names {
            let value = match answers.remove(name) {
                Some(SecretAnswer::Set { base64 }) => {
                    let bytes = STANDARD.decode(base64.as_bytes()).map_err(|_| {
                        Error::internal("bad-secret", format!("the value of `{name}` came damaged"))
                    })?;
                    SecretValue::new(bytes)
                }
                Some(SecretAnswer::Sealed { error }) => return Err(error),
                Some(SecretAnswer::Unset) | None => return Err(no_secret(name)),
            };
            values.insert(name.clone(), value);
        }
        let mut inner = self.lock();
        let mut is_new = false;
        for (name, value) in &values {
            let known = inner.known.entry(name.clone()).or_default();
            if known.first() != Some(value) {
                is_new = true;
                known.insert(0, value.clone());
                known.truncate(REMEMBERED);
            }
        }
        if is_new {
            self.redactor.know(&inner.known);
        }
        Ok(values)
    }

    fn remembered(&self, names: &BTreeSet<Name>) -> Result<BTreeMap<Name, SecretValue>, Error> {
        let inner = self.lock();
        let value = |name: &Name| {
            inner
                .known
                .get(name)
                .and_then(|known| known.first())
                .cloned()
        };
        let values = names
            .iter()
            .map(|name| value(name).map(|value| (name.clone(), value)));
        values.collect::<Option<_>>().ok_or_else(|| {
            let names: Vec<&str> = names.iter().map(Name::as_str).collect();
            Error::unavailable(
                "secrets-away",
                format!(
                    "the secret {} is needed and the controller cannot be asked for it now",
                    names.join(", ")
                ),
            )
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Secrets for SecretDesk {
    async fn values(&self, names: &BTreeSet<Name>) -> Result<BTreeMap<Name, SecretValue>, Error> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let Some(answer) = self.ask(names) else {
            return self.remembered(names);
        };
        tokio::select! {
            answer = answer => match answer {
                Ok(answers) => self.take(names, answers),
                // The session ended before it was answered.
                Err(_) => self.remembered(names),
            },
            () = self.clock.sleep(PATIENCE) => self.remembered(names),
        }
    }
}

#[cfg(test)]
mod tests {
    use fleet_seam::SystemClock;

    use super::*;

    fn names(list: &[&str]) -> BTreeSet<Name> {
        list.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn set(value: &str) -> SecretAnswer {
        SecretAnswer::Set {
            base64: STANDARD.encode(value).into(),
        }
    }

    async fn asked(
        desk: &Arc<SecretDesk>,
        list: &[&str],
        answers: &[(&str, SecretAnswer)],
    ) -> Result<Vec<u8>, Error> {
        let (asking, wanted) = (desk.clone(), names(list));
        let asking = tokio::spawn(async move { asking.values(&wanted).await });
        assert_eq!(desk.question().await, names(list));
        desk.answer(
            answers
                .iter()
                .map(|(name, answer)| (name.parse().unwrap(), answer.clone()))
                .collect(),
        );
        let values = asking.await.unwrap()?;
        Ok(values
            .values()
            .flat_map(|value| value.expose().to_vec())
            .collect())
    }

    #[tokio::test]
    async fn the_newest_value_is_asked_for_and_the_last_one_serves_while_nobody_answers() {
        let redactor = Redactor::default();
        let desk = Arc::new(SecretDesk::new(Arc::new(SystemClock), redactor.clone()));
        let error = desk.values(&names(&["a"])).await.unwrap_err();
        assert_eq!(error.code, "secrets-away");

        desk.opened();
        assert_eq!(
            asked(&desk, &["a"], &[("a", set("first-value"))])
                .await
                .unwrap(),
            b"first-value"
        );
        assert_eq!(
            asked(&desk, &["a"], &[("a", set("second-value"))])
                .await
                .unwrap(),
            b"second-value"
        );
        assert_eq!(redactor.text("first-value second-value"), "*** ***");

        desk.closed();
        let values = desk.values(&names(&["a"])).await.unwrap();
        assert_eq!(values.values().next().unwrap().expose(), b"second-value");

        desk.keep(&names(&["b"]));
        assert!(desk.is_empty());
        assert_eq!(redactor.text("second-value"), "second-value");
    }

    #[tokio::test]
    async fn what_is_not_set_and_what_cannot_be_opened_say_so() {
        let desk = Arc::new(SecretDesk::new(Arc::new(SystemClock), Redactor::default()));
        desk.opened();
        let error = asked(&desk, &["a"], &[("a", SecretAnswer::Unset)])
            .await
            .unwrap_err();
        assert_eq!(error.code, "no-secret");
        let sealed = SecretAnswer::Sealed {
            error: Error::unavailable("no-sealing-key", "x"),
        };
        let error = asked(&desk, &["a"], &[("a", sealed)]).await.unwrap_err();
        assert_eq!(error.code, "no-sealing-key");
    }

    #[tokio::test]
    async fn a_session_that_ends_leaves_nobody_waiting() {
        let desk = Arc::new(SecretDesk::new(Arc::new(SystemClock), Redactor::default()));
        desk.opened();
        let asking = tokio::spawn({
            let desk = desk.clone();
            async move { desk.values(&names(&["a"])).await }
        });
        desk.question().await;
        desk.closed();
        assert_eq!(asking.await.unwrap().unwrap_err().code, "secrets-away");
    }
}
