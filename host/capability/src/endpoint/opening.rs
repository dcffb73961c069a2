//! Streams: opened in the host's words, read under the framing the rule names.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fleet_model::{Error, ErrorKind};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::failure;
use super::exchange::within;
use super::facts::Ownership as _;
use super::framing::{Framing, Reader};
use super::kept::Kept;
use super::lines::{self, Begin, Cursor, Joiner, Times};
use super::message::message;
use super::policy::{Direction, Output, Resume, StreamRule};
use super::request::Request;
use super::service::{Call, Held, Inner, Service, blocking};
use super::transport::{Message, Opened, Opening};
use super::verdict::Allowed;
use crate::process::exec::limits::CHUNK_BYTES;
use crate::source::{Frame, Source};

/// How long a stream is held after its end was read.
const HELD: Duration = Duration::from_secs(60);

/// Opens what is allowed.
pub(super) async fn open(
    host: &Arc<Inner>,
    service: &Arc<Service>,
    call: &Call,
    request: &Request,
    allowed: &Allowed<'_>,
) -> Result<Source, Error> {
    let Some(rule) = allowed.rule.stream() else {
        return Err(Error::internal("bad-rule", "the rule is for no stream"));
    };
    let framing = framing(rule, request)?;
    let asked = Asked {
        host,
        service,
        call,
        allowed,
        rule,
        framing,
    };
    let cursor = request
        .attributes
        .get("cursor")
        .map(String::as_str)
        .filter(|text| !text.is_empty());
    match &rule.output {
        Output::Bytes => {
            let after = cursor.map_or(Ok(0), |text| {
                text.parse().map_err(|_| {
                    Error::invalid("bad-cursor", "the cursor of a stream of bytes is a number: give one that came with its output")
                })
            })?;
            if rule.keep {
                asked.held(after).await
            } else {
                let message = message(host, call, allowed).await?;
                asked.fresh(&message).await?.attach(after)
            }
        }
        Output::Lines => {
            asked
                .lines(Times::None, Begin::Whole { since_ns: None }, None)
                .await
        }
        Output::Timed(resume) => {
            let times = match asked.framing {
                Framing::Raw => Times::PerLine,
                Framing::Headed(_) => Times::PerFrame,
            };
            let begin = begin(resume.as_ref(), cursor, allowed)?;
            let since = match (begin, resume) {
                (Begin::After(cursor), Some(resume)) => Some((resume, cursor.time(resume.format))),
                _ => None,
            };
            asked.lines(times, begin, since).await
        }
    }
}

fn framing(rule: &StreamRule, request: &Request) -> Result<Framing, Error> {
    let wanted = request.attributes.get("framing");
    let found = match wanted {
        None => rule.framings.first(),
        Some(wanted) => rule.framings.iter().find(|(name, _)| name == wanted),
    };
    found.map(|(_, framing)| framing.clone()).ok_or_else(|| {
        let known: Vec<&str> = rule
            .framings
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        Error::invalid(
            "bad-framing",
            format!(
                "this stream has no such framing; there are: {}",
                known.join(", ")
            ),
        )
    })
}

/// Where a stream of times begins, by what was asked.
fn begin(
    resume: Option<&Resume>,
    cursor: Option<&str>,
    allowed: &Allowed<'_>,
) -> Result<Begin, Error> {
    match (resume, cursor) {
        (_, None) => {
            let query = &allowed.arguments.query;
            let is_partial = resume.is_some_and(|resume| {
                let mut given = resume.partial.iter().filter_map(|key| query.get(key));
                given.any(|value| value != "all")
            });
            if is_partial {
                return Ok(Begin::Middle);
            }
            let since = resume.and_then(|resume| Some((query.get(&resume.query)?, resume.format)));
            let since_ns = since.and_then(|(text, format)| lines::time(text, format));
            Ok(Begin::Whole { since_ns })
        }
        (None, Some(_)) => Err(Error::invalid(
            "bad-cursor",
            "this stream cannot go on after a cursor: its rule has no `resume`",
        )),
        (Some(_), Some(text)) => Cursor::parse(text).map(Begin::After),
    }
}

struct Asked<'a> {
    host: &'a Arc<Inner>,
    service: &'a Arc<Service>,
    call: &'a Call,
    allowed: &'a Allowed<'a>,
    rule: &'a StreamRule,
    framing: Framing,
}

impl Asked<'_> {
    /// A stream that the host holds: begun, once, or come back to.
    async fn held(&self, after: u64) -> Result<Source, Error> {
        let allowed = self.allowed;
        let name = format!(
            "{} {} {}",
            self.call.plugin,
            allowed.rule(),
            allowed.outgoing.path
        );
        let turn = self.service.turn(&name);
        let _turn = turn.lock().await;
        let there = {
            let held = self
                .service
                .held
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            held.get(&name).map(|held| held.stream.clone())
        };
        if let Some(there) = there {
            return there.attach(after);
        }
        if self.call.op.is_none() {
            return Err(Error::not_found(
                "no-stream",
                "the host does not hold this stream: it is over and was read, or was begun before the host was started again",
            ));
        }
        let Some((sort, id)) = allowed.ids.first().cloned() else {
            return Err(Error::internal(
                "bad-rule",
                "a stream that is kept must be of something owned",
            ));
        };
        let place = place(&self.service.kept, "held", "kept")?;
        let message = message(self.host, self.call, allowed).await?;
        let key = format!("{} {}", allowed.rule(), allowed.outgoing.path);
        let book = self.service.book.clone();
        let (of, at, what) = (sort.clone(), id.clone(), key.clone());
        blocking(move || book.begin(&of, &at, &what)).await?;
        let fresh = match self.fresh(&message).await {
            Ok(fresh) => fresh,
            Err(error) => {
                // Where it cannot have begun, it may be tried again.
                if is_certain(&error) {
                    let book = self.service.book.clone();
                    let of = (sort.clone(), id.clone());
                    blocking(move || book.not_begun(&of.0, &of.1, &key)).await?;
                }
                return Err(error);
            }
        };
        let source = fresh.attach(after)?;
        let book = self.service.book.clone();
        let held = Held {
            stream: fresh.clone(),
            ids: allowed.ids.clone(),
            _place: place,
        };
        self.service
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone(), held);
        // What was released meanwhile closed what was held then.
        if book.of(&self.call.plugin).owner(&sort, &id).is_none() {
            self.service.close(&[(sort, id)]);
            return Err(Error::not_found("gone", "what it is of was released"));
        }
        let (service, clock) = (
            Arc::downgrade(self.service),
            self.host.options.clock.clone(),
        );
        let (watched, read) = (Arc::downgrade(&fresh), fresh.read_to_its_end());
        tokio::spawn(async move {
            read.await;
            clock.sleep(HELD).await;
            if let Some(service) = service.upgrade() {
                let mut held = service.held.lock().unwrap_or_else(PoisonError::into_inner);
                if held
                    .get(&name)
                    .is_some_and(|held| Arc::as_ptr(&held.stream) == watched.as_ptr())
                {
                    held.remove(&name);
                }
            }
        });
        Ok(source)
    }

    async fn fresh(&self, message: &Message) -> Result<Arc<Kept>, Error> {
        let (opened, place) = self.opened(message).await?;
        Ok(Kept::new(opened, self.framing.clone(), place))
    }

    async fn opened(&self, message: &Message) -> Result<(Opened, OwnedSemaphorePermit), Error> {
        let place = place(&self.service.streams, "open", "streams")?;
        let bounds = self.allowed.rule.bounds;
        let upgrade = self.rule.upgrade.as_deref();
        let opening = self
            .service
            .transport
            .open(message, upgrade, bounds.response_bytes);
        match within(self.host, bounds.timeout_ms, opening).await? {
            Opening::Stream(mut opened) => {
                if self.rule.direction == Direction::Out {
                    opened.write = None;
                }
                Ok((opened, place))
            }
            Opening::Refused(answer) => Err(failure(self.allowed.rule, &answer)),
        }
    }

    async fn lines(
        &self,
        times: Times,
        begin: Begin,
        since: Option<(&Resume, String)>,
    ) -> Result<Source, Error> {
        let mut message = message(self.host, self.call, self.allowed).await?;
        if let Some((resume, text)) = since {
            let mut outgoing = self.allowed.outgoing.clone();
            outgoing
                .query
                .retain(|(known, _)| *known != resume.query && !resume.partial.contains(known));
            outgoing.query.push((resume.query.clone(), text));
            message.target = outgoing.target();
        }
        let (opened, place) = self.opened(&message).await?;
        let flow = Flow {
            read: opened.read,
            reader: Reader::new(self.framing.clone()),
            joiner: Joiner::new(times, begin),
            ready: VecDeque::new(),
            buffer: vec![0; CHUNK_BYTES],
            end: None,
            _place: place,
        };
        Ok(Source {
            output: flow.frames(),
            input: None,
        })
    }
}

/// A place for one more stream.
fn place(places: &Arc<Semaphore>, how: &str, key: &str) -> Result<OwnedSemaphorePermit, Error> {
    let place = places.clone().try_acquire_owned();
    place.map_err(|_| Error {
        retry_after_ms: Some(1_000),
        ..Error::new(
            ErrorKind::Exhausted,
            "endpoint-busy",
            format!("as many streams of this endpoint are {how} as its policy allows (`{key}`): end some"),
        )
    })
}

/// Whether what failed like this was surely not begun.
fn is_certain(error: &Error) -> bool {
    matches!(
        error.code.as_str(),
        "no-endpoint" | "endpoint-permission" | "endpoint-busy" | "service-refused"
    )
}

/// A stream of lines.
struct Flow {
    read: Box<dyn AsyncRead + Send + Unpin>,
    reader: Reader,
    joiner: Joiner,
    ready: VecDeque<Frame>,
    buffer: Vec<u8>,
    /// How it ended; taken when that was told.
    end: Option<Option<Error>>,
    _place: OwnedSemaphorePermit,
}

impl Flow {
    fn frames(self) -> BoxStream<'static, Result<Frame, Error>> {
        stream::unfold(self, |mut flow| async move {
            let item = flow.item().await?;
            Some((item, flow))
        })
        .boxed()
    }

    async fn item(&mut self) -> Option<Result<Frame, Error>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(Ok(frame));
            }
            if let Some(end) = &mut self.end {
                return end.take().map(Err);
            }
            match self.reader.next() {
                Ok(Some(piece)) => self.ready.extend(self.joiner.take(&piece)),
                Ok(None) if self.reader.is_over() => self.over(Ok(())),
                Ok(None) => match self.read.read(&mut self.buffer).await {
                    Ok(0) => self.over(self.reader.finish()),
                    Ok(count) => self
                        .reader
                        .feed(self.buffer.get(..count).unwrap_or_default()),
                    Err(error) => self.over(Err(Error::unavailable(
                        "cut-short",
                        format!("the service's stream broke: {}", error.kind()),
                    ))),
                },
                Err(error) => self.over(Err(error)),
            }
        }
    }

    fn over(&mut self, end: Result<(), Error>) {
        self.ready.extend(self.joiner.finish());
        self.end = Some(end.err());
    }
}
