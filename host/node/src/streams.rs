//! Answers the streams that the controller opens: logs here, each other sort in a room of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleet_capability::process::OutputOptions;
use fleet_capability::source::{Frame, Source, Stream};
use fleet_model::Error;
use fleet_model::driver::Handle;
use fleet_model::item::{Generation, ItemKey};
use fleet_plugin::Driver;
use fleet_protocol::bulk::{Acceptor, BulkStream, LogOptions, MAX_FRAME_BYTES, Pending, Request};
use fleet_protocol::log::{LogLine, LogStream, encode, encode_error};
use futures::{FutureExt, StreamExt};
use tokio::task::JoinSet;

use crate::context::Context;
use crate::state::{Record, Stage};
use crate::{exec, forward, plugins, send, signal, stats, workspace};

/// Lines of a followed log that go out together at most, in bytes.
const BURST_BYTES: usize = 512 * 1024;

/// How long a log that is asked for waits for a workload that is being made.
const MAKING: Duration = Duration::from_secs(30);

/// Answers streams until the session ends; dropping this ends them all.
pub(crate) async fn serve(context: Arc<Context>, mut acceptor: Acceptor) {
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            pending = acceptor.accept() => match pending {
                Some(pending) => drop(streams.spawn(answer(context.clone(), pending))),
                None => return,
            },
            Some(_) = streams.join_next() => {}
        }
    }
}

async fn answer(context: Arc<Context>, mut pending: Pending) {
    let done = match pending.request().await {
        Ok(Request::Logs {
            item,
            generation,
            options,
        }) => logs(&context, pending, &item, generation, options).await,
        Ok(Request::Send {
            item,
            generation,
            call,
            base64,
        }) => match send::send(&context, item, generation, call, &base64).await {
            Ok(()) => match pending.accept().await {
                Ok(stream) => stream.finish().await,
                Err(error) => Err(error),
            },
            Err(error) => pending.refuse(error).await,
        },
        Ok(Request::Exec {
            item,
            generation,
            call,
        }) => exec::answer(&context, pending, item, generation, call).await,
        Ok(Request::File {
            item,
            generation,
            call,
        }) => workspace::answer(&context, pending, item, generation, call).await,
        Ok(Request::Signal {
            item,
            generation,
            key,
            signal,
        }) => signal::answer(&context, pending, item, generation, key, &signal).await,
        Ok(Request::Stats {
            item,
            history,
            follow,
        }) => stats::answer(&context, pending, item, history, follow).await,
        Ok(Request::Plugins { call }) => plugins::answer(&context, pending, call).await,
        Ok(Request::Port {
            item,
            generation,
            port,
        }) => forward::answer(&context, pending, item, generation, &port).await,
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        tracing::debug!(%error, "a stream ended early");
    }
}

async fn logs(
    context: &Context,
    pending: Pending,
    item: &ItemKey,
    generation: Generation,
    options: LogOptions,
) -> io::Result<()> {
    let opened = match made(context, item, generation).await {
        Ok((driver, handle)) => {
            Log {
                context,
                item,
                driver,
                handle,
            }
            .open(&options)
            .await
        }
        Err(error) => Err(error),
    };
    match opened {
        Ok((log, source)) => log.copy(source, &options, pending.accept().await?).await,
        Err(error) => pending.refuse(error).await,
    }
}

/// The backend and handle of a workload's run, waiting for one that is being made.
async fn made(
    context: &Context,
    item: &ItemKey,
    generation: Generation,
) -> Result<(Arc<dyn Driver>, Handle), Error> {
    let mut commits = context.store.changes();
    let deadline = context.clock.sleep(MAKING);
    tokio::pin!(deadline);
    loop {
        let snapshot = context.store.snapshot();
        let record = snapshot
            .state
            .items
            .get(item)
            .map(AsRef::as_ref)
            .filter(|record| !record.removed);
        match record {
            Some(record) if record.item.generation > generation => {
                return Err(Error::conflict(
                    "controller-behind",
                    "this node has seen a newer intent than its controller states",
                ));
            }
            Some(Record { run: Some(run), .. }) => {
                if let Some(handle) = &run.handle {
                    return Ok((context.drivers.driver(&run.backend)?, handle.clone()));
                }
                if run.stage.is_over() {
                    return Err(Error::not_found(
                        "no-log",
                        "it was never started, so there is no log",
                    ));
                }
            }
            Some(_) | None => {}
        }
        tokio::select! {
            changed = commits.changed() => if changed.is_err() {
                return Err(Error::unavailable("node-stopping", "the node is stopping"));
            },
            () = &mut deadline => return Err(Error::unavailable("not-started", "it has not been started yet; try again")),
        }
    }
}

/// One workload's log.
struct Log<'a> {
    context: &'a Context,
    item: &'a ItemKey,
    driver: Arc<dyn Driver>,
    handle: Handle,
}

impl Log<'_> {
    async fn open(self, options: &LogOptions) -> Result<(Self, Source), Error> {
        let source = self
            .driver
            .logs(
                self.item,
                &self.handle,
                &output(options, options.cursor.clone(), options.follow),
            )
            .await?;
        Ok((self, source))
    }

    /// Copies lines until the log ends. A followed log ends when its program has ended and all it
    /// printed has been read: the rest is then read to its end, from the last line's cursor.
    async fn copy(
        self,
        mut source: Source,
        options: &LogOptions,
        mut stream: BulkStream,
    ) -> io::Result<()> {
        let mut cursor = options.cursor.clone();
        let mut sent_any = false;
        if options.follow {
            let over = self.over();
            tokio::pin!(over);
            loop {
                let first = tokio::select! {
                    biased;
                    frame = source.output.next() => frame,
                    () = &mut over => break,
                    () = stream.closed() => return Ok(()),
                };
                // What is ready goes out together; what is not is not waited for.
                let (mut next, mut burst) = (Some(first), 0);
                while let Some(frame) = next {
                    match frame {
                        Some(Ok(frame)) => {
                            cursor = frame.cursor.clone().or(cursor);
                            sent_any = true;
                            burst += frame.bytes.len();
                            feed(&mut stream, frame).await?;
                        }
                        Some(Err(error)) => return fail(stream, &error).await,
                        None => return stream.finish().await,
                    }
                    next = match burst < BURST_BYTES {
                        true => source.output.next().now_or_never(),
                        false => None,
                    };
                }
                stream.flush().await?;
            }
            if sent_any && cursor.is_none() {
                // A log that cannot be resumed has been followed as far as it can be.
                return stream.finish().await;
            }
            let rest = LogOptions {
                tail: if sent_any { None } else { options.tail },
                ..options.clone()
            };
            match self
                .driver
                .logs(self.item, &self.handle, &output(&rest, cursor, false))
                .await
            {
                Ok(rest) => source = rest,
                Err(error) => return fail(stream, &error).await,
            }
        }
        while let Some(frame) = source.output.next().await {
            match frame {
                Ok(frame) => feed(&mut stream, frame).await?,
                Err(error) => return fail(stream, &error).await,
            }
        }
        stream.finish().await
    }

    /// Returns when the run has ended or is gone.
    async fn over(&self) {
        let mut commits = self.context.store.changes();
        loop {
            let snapshot = self.context.store.snapshot();
            let running = snapshot
                .state
                .items
                .get(self.item)
                .and_then(|record| record.run.as_ref())
                .is_some_and(|run| {
                    !run.stage.is_over()
                        && (run.handle.as_ref() == Some(&self.handle)
                            || matches!(run.stage, Stage::Created | Stage::Started))
                });
            if !running || commits.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn fail(mut stream: BulkStream, error: &Error) -> io::Result<()> {
    stream.send(encode_error(error)).await?;
    stream.finish().await
}

fn output(options: &LogOptions, cursor: Option<String>, follow: bool) -> OutputOptions {
    OutputOptions {
        follow,
        since_ms: options.since_ms,
        tail: if cursor.is_some() { None } else { options.tail },
        cursor,
    }
}

/// One frame as one or more of the stream's, none of them over its limit.
fn lines(frame: Frame) -> impl Iterator<Item = Bytes> {
    const MOST: usize = MAX_FRAME_BYTES / 2;
    let Frame {
        stream,
        time_us,
        mut bytes,
        complete,
        cursor,
    } = frame;
    let mut cursor = Some(cursor.unwrap_or_default());
    let stream = match stream {
        Stream::Stdout => LogStream::Stdout,
        Stream::Stderr => LogStream::Stderr,
        Stream::Event => LogStream::Host,
    };
    std::iter::from_fn(move || {
        cursor.as_ref()?;
        let part = bytes.split_to(bytes.len().min(MOST));
        let last = bytes.is_empty();
        let cursor = if last { cursor.take() } else { None };
        Some(encode(&LogLine {
            stream,
            time_us: time_us.unwrap_or(0),
            bytes: part,
            complete: complete && last,
            cursor: cursor.unwrap_or_default(),
        }))
    })
}

async fn feed(stream: &mut BulkStream, frame: Frame) -> io::Result<()> {
    for line in lines(frame) {
        stream.feed(line).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fleet_protocol::log::decode;

    use super::*;

    #[test]
    fn a_large_frame_is_split_without_loss_and_keeps_its_cursor_at_the_end() {
        let bytes = Bytes::from(
            (0..3 * MAX_FRAME_BYTES)
                .map(|i| i as u8)
                .collect::<Vec<_>>(),
        );
        let frame = |bytes: &Bytes| Frame {
            stream: Stream::Stderr,
            time_us: Some(5),
            bytes: bytes.clone(),
            complete: true,
            cursor: Some("1.2".into()),
        };
        let parts: Vec<_> = lines(frame(&bytes))
            .map(|part| decode(part).unwrap())
            .collect();
        assert_eq!(
            parts
                .iter()
                .flat_map(|part| part.bytes.to_vec())
                .collect::<Vec<_>>(),
            bytes
        );
        let (last, before) = parts.split_last().unwrap();
        assert!(last.complete && last.cursor == "1.2");
        assert!(
            before
                .iter()
                .all(|part| !part.complete && part.cursor.is_empty())
        );
        assert_eq!(lines(frame(&Bytes::new())).count(), 1);
    }
}
