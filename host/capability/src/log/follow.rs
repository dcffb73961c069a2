//! A log as a source: from where the options say, and on as it grows.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleet_model::Error;
use fleet_seam::Clock;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::reader::{Read, Reader};
use super::{backward, segment::Place};
use crate::fault;
use crate::process::OutputOptions;
use crate::source::{Frame, Stream};

/// How soon a follower looks again after it saw something, and at most how late.
const LOOK_MS: (u64, u64) = (50, 250);

/// Opens a log. One chunk is held in memory; the next is read when that is used up.
pub(crate) async fn open(
    folder: PathBuf,
    options: OutputOptions,
    clock: Arc<dyn Clock>,
) -> Result<BoxStream<'static, Result<Frame, Error>>, Error> {
    let since_us = options.since_ms.map(|ms| ms.saturating_mul(1_000));
    let reader = blocking(move || begin(&folder, &options)).await?;
    let state = Following {
        reader: Some(reader),
        waiting: VecDeque::new(),
        since_us,
        look_ms: LOOK_MS.0,
        clock,
    };
    Ok(stream::unfold(state, |mut state| async move {
        state.next().await.map(|item| (item, state))
    })
    .boxed())
}

struct Following {
    /// Absent while it reads, and at the end.
    reader: Option<Reader>,
    waiting: VecDeque<Frame>,
    since_us: Option<u64>,
    look_ms: u64,
    clock: Arc<dyn Clock>,
}

impl Following {
    async fn next(&mut self) -> Option<Result<Frame, Error>> {
        loop {
            while let Some(frame) = self.waiting.pop_front() {
                if self.is_wanted(&frame) {
                    return Some(Ok(frame));
                }
            }
            let mut reader = self.reader.take()?;
            let read = blocking(move || {
                let read = reader
                    .read()
                    .map_err(|error| fault::storage("read", Path::new("the log"), &error))?;
                Ok((reader, read))
            });
            match read.await {
                Err(error) => return Some(Err(error)),
                Ok((_, Read::Over)) => return None,
                Ok((reader, Read::Frames(frames))) => {
                    self.reader = Some(reader);
                    self.waiting = frames.into();
                    self.look_ms = LOOK_MS.0;
                }
                Ok((reader, Read::Idle)) => {
                    self.reader = Some(reader);
                    self.clock.sleep(Duration::from_millis(self.look_ms)).await;
                    self.look_ms = (self.look_ms * 2).min(LOOK_MS.1);
                }
            }
        }
    }

    fn is_wanted(&self, frame: &Frame) -> bool {
        match (self.since_us, frame.time_us) {
            (Some(since), Some(time)) => frame.stream == Stream::Event || time >= since,
            _ => true,
        }
    }
}

fn begin(folder: &Path, options: &OutputOptions) -> Result<Reader, Error> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::not_found("no-log", "this workload has no log: it was removed")
        }
        _ => fault::storage("read", folder, &error),
    };
    let end = backward::end(folder).map_err(unreadable)?;
    let place = match (&options.cursor, options.tail, options.since_ms) {
        (Some(cursor), _, _) => {
            let place: Option<Place> = cursor.parse().ok();
            let known = place
                .map(|place| backward::is_line_start(folder, place))
                .transpose()
                .map_err(unreadable)?;
            place.filter(|_| known == Some(true)).ok_or_else(|| {
                let shown: String = cursor.chars().take(40).collect();
                Error::invalid("bad-cursor", format!("`{shown}` is not a place in this log; use the cursor of one of its lines, or none to read it all"))
            })?
        }
        (None, Some(count), _) => backward::tail(folder, end, count).map_err(unreadable)?,
        (None, None, Some(since_ms)) => {
            let since_us = i64::try_from(since_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
            backward::since(folder, since_us).map_err(unreadable)?
        }
        // What is gone of the beginning is said.
        (None, None, None) => Place::start_of(1),
    };
    Ok(Reader::new(folder, place, (!options.follow).then_some(end)))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) => Err(Error::unavailable(
            "stopping",
            format!("the log was not read: {error}"),
        )),
    }
}
