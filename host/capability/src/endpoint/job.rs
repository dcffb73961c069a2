//! Work of a service that takes long and tells lines of JSON while it goes on.
//!
//! The host reads them in the background; whoever asks gets the latest at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use fleet_model::{Error, ErrorKind};
use fleet_seam::Clock;
use futures::future::{Either, select};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::pointer::{Pointer, keep};
use super::policy::{JobRule, ResponseRule};
use super::transport::{Answer, Message, Opening, Transport, odd};

/// How long it is remembered after somebody heard of its end.
const REMEMBERED_MS: u64 = 60_000;
/// How many are known at one time.
const JOBS: usize = 256;

/// What a job has come to.
#[derive(Debug, Clone)]
pub(crate) enum Course {
    Running,
    /// Its stream ended as it should.
    Done,
    /// Its stream ended in the middle.
    CutShort,
    /// A line of it said that it failed.
    SaidFailed,
    /// The service refused it.
    Refused(Arc<Answer>),
    Failed(Error),
}

/// How far a job is.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub(crate) course: Course,
    pub(crate) lines: Vec<Value>,
}

/// All jobs of an endpoint.
#[derive(Default)]
pub(crate) struct Jobs {
    known: Mutex<BTreeMap<String, Entry>>,
}

struct Entry {
    job: Arc<Job>,
    heard_at_ms: Option<u64>,
    /// The ops that were told of its end.
    heard_by: BTreeSet<String>,
}

struct Job {
    state: Mutex<State>,
}

struct State {
    course: Course,
    lines: VecDeque<(Option<String>, Value)>,
    has_failed: bool,
}

/// What a job is made of.
pub(crate) struct Order {
    pub(crate) message: Message,
    pub(crate) rule: JobRule,
    pub(crate) timeout_ms: u64,
    pub(crate) most: usize,
}

impl Jobs {
    /// How far the job of this name is; begins it where there is none, and anew for an op that was told
    /// of its end before: what was made then is not there any more.
    ///
    /// # Errors
    /// `exhausted` (`endpoint-busy`) where there are too many.
    pub(crate) fn ask(
        &self,
        name: &str,
        op: &str,
        transport: &Arc<Transport>,
        clock: &Arc<dyn Clock>,
        order: impl FnOnce() -> Order,
    ) -> Result<Progress, Error> {
        let now_ms = clock.boot_ms();
        let mut known = self.lock();
        known.retain(|_, entry| {
            entry
                .heard_at_ms
                .is_none_or(|at| now_ms.saturating_sub(at) < REMEMBERED_MS)
        });
        if known
            .get(name)
            .is_some_and(|entry| entry.heard_by.contains(op))
        {
            known.remove(name);
        }
        if let Some(entry) = known.get_mut(name) {
            let progress = entry.job.progress();
            if !matches!(progress.course, Course::Running) {
                entry.heard_at_ms.get_or_insert(now_ms);
                entry.heard_by.insert(op.to_owned());
            }
            // What failed on the way is begun anew when it is asked for again.
            if matches!(
                progress.course,
                Course::Failed(_) | Course::CutShort | Course::SaidFailed | Course::Refused(_)
            ) {
                known.remove(name);
            }
            return Ok(progress);
        }
        if known.len() >= JOBS {
            let running = |entry: &Entry| matches!(entry.job.progress().course, Course::Running);
            known.retain(|_, entry| running(entry));
        }
        if known.len() >= JOBS {
            return Err(Error {
                retry_after_ms: Some(1_000),
                ..Error::new(
                    ErrorKind::Exhausted,
                    "endpoint-busy",
                    format!("{JOBS} jobs of the service are under way: ask again later"),
                )
            });
        }
        let job = Arc::new(Job {
            state: Mutex::new(State {
                course: Course::Running,
                lines: VecDeque::new(),
                has_failed: false,
            }),
        });
        tokio::spawn(run(job.clone(), transport.clone(), clock.clone(), order()));
        let progress = job.progress();
        known.insert(
            name.to_owned(),
            Entry {
                job,
                heard_at_ms: None,
                heard_by: BTreeSet::new(),
            },
        );
        Ok(progress)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> Progress {
        let state = self.lock();
        Progress {
            course: state.course.clone(),
            lines: state.lines.iter().map(|(_, line)| line.clone()).collect(),
        }
    }

    fn take(&self, rule: &JobRule, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Ok(value) = serde_json::from_slice::<Value>(line) else {
            return;
        };
        let key = rule.by.as_ref().and_then(|by: &Pointer| by.get(&value));
        let key = key.and_then(Value::as_str).map(str::to_owned);
        let failed = rule.failed.as_ref().and_then(|failed| failed.get(&value));
        let has_failed = failed.is_some_and(|said| !said.is_null());
        let mut state = self.lock();
        state.has_failed |= has_failed;
        if rule.by.is_some() && key.is_some() {
            state.lines.retain(|(known, _)| *known != key);
        }
        state.lines.push_back((key, value));
        if state.lines.len() > rule.lines {
            state.lines.pop_front();
        }
    }
}

async fn run(job: Arc<Job>, transport: Arc<Transport>, clock: Arc<dyn Clock>, order: Order) {
    let work = Box::pin(follow(&job, &transport, &clock, &order));
    let course = match select(
        work,
        clock.sleep(Duration::from_millis(order.rule.longest_ms)),
    )
    .await
    {
        Either::Left((course, _)) => course.unwrap_or_else(Course::Failed),
        Either::Right(_) => Course::Failed(Error::new(
            ErrorKind::Deadline,
            "endpoint-slow",
            format!(
                "the service was not done after {} ms",
                order.rule.longest_ms
            ),
        )),
    };
    let mut state = job.lock();
    state.course = match course {
        Course::Done | Course::CutShort if state.has_failed => Course::SaidFailed,
        course => course,
    };
}

async fn follow(
    job: &Job,
    transport: &Transport,
    clock: &Arc<dyn Clock>,
    order: &Order,
) -> Result<Course, Error> {
    let opening = Box::pin(transport.open(&order.message, None, order.most));
    // The head of such an answer can come late: the first line is what it waits for.
    let patience = Duration::from_millis(
        order
            .rule
            .longest_ms
            .min(order.timeout_ms.saturating_mul(12)),
    );
    let opened = match select(opening, clock.sleep(patience)).await {
        Either::Left((opened, _)) => opened?,
        Either::Right(_) => {
            return Err(Error::new(
                ErrorKind::Deadline,
                "endpoint-slow",
                "the service did not answer in time",
            ));
        }
    };
    let mut read = match opened {
        Opening::Refused(answer) => return Ok(Course::Refused(Arc::new(answer))),
        Opening::Stream(opened) => opened.read,
    };
    lines(&mut read, order.rule.line_bytes, |line| {
        job.take(&order.rule, line)
    })
    .await
}

async fn lines(
    read: &mut Box<dyn AsyncRead + Send + Unpin>,
    most: usize,
    mut take: impl FnMut(&[u8]),
) -> Result<Course, Error> {
    let mut held = BytesMut::new();
    loop {
        while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
            let line = held.split_to(end + 1);
            take(&line);
        }
        if held.len() > most {
            return Err(odd(&format!("a line is longer than {most} bytes")));
        }
        match read.read_buf(&mut held).await {
            Ok(0) => {
                take(&held);
                return Ok(Course::Done);
            }
            Ok(_) => {}
            Err(_) => return Ok(Course::CutShort),
        }
    }
}

/// The lines, as far as the rule lets them through.
pub(crate) fn body(rule: &ResponseRule, lines: &[Value]) -> Vec<u8> {
    let mut body = Vec::new();
    for line in lines {
        let line = keep(&rule.keep, &rule.drop, line);
        body.extend_from_slice(line.to_string().as_bytes());
        body.push(b'\n');
    }
    body
}
