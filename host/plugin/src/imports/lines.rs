//! `fleet:host/lines`: a source whose contents the guest brings itself.
//!
//! It stands behind no permission, because it reaches nothing; what it holds is bounded, and a
//! line of the future waits on the host's clock, not in the guest.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleet_capability::{Frame, Source, Stream};
use fleet_model::{Error, ErrorKind};
use fleet_seam::Clock;
use futures::StreamExt;
use wasmtime::component::Resource;

use super::{Answer, answer};
use crate::bindings::fleet::host::lines::{Host, Line, Origin};
use crate::convert::MAX_TOKEN;
use crate::state::CallState;

/// What one source may hold, cursors included.
const MAX_BYTES: usize = 1 << 20;
/// What a line takes beside its bytes.
const PER_LINE: usize = 16;

impl Host for CallState {
    async fn open(&mut self, lines: Vec<Line>) -> Answer<Resource<Source>> {
        let clock = self.scope.services.clock.clone();
        answer(source(lines, clock).and_then(|source| {
            let full = |_| {
                Error::new(
                    ErrorKind::Exhausted,
                    "too-many-sources",
                    "this call holds too many sources",
                )
            };
            self.table.push(source).map_err(full)
        }))
    }
}

/// A source that gives these lines, each when its time has come.
fn source(lines: Vec<Line>, clock: Arc<dyn Clock>) -> Result<Source, Error> {
    let size: usize = lines
        .iter()
        .map(|line| line.bytes.len() + line.cursor.len() + PER_LINE)
        .sum();
    if size > MAX_BYTES || lines.iter().any(|line| line.cursor.len() > MAX_TOKEN) {
        return Err(Error::invalid(
            "lines-too-large",
            format!(
                "{} lines of {size} bytes: a source of lines holds at most {MAX_BYTES} bytes",
                lines.len()
            ),
        ));
    }
    let output = futures::stream::iter(lines).then(move |line| {
        let clock = clock.clone();
        async move {
            // The wall clock can jump while it is waited on, so it is read again.
            while let Some(early) = line
                .time_ms
                .checked_sub(clock.unix_ms())
                .filter(|early| *early > 0)
            {
                clock
                    .sleep(Duration::from_millis(early.min(MAX_NAP_MS)))
                    .await;
            }
            Ok(frame(line))
        }
    });
    Ok(Source {
        output: output.boxed(),
        input: None,
    })
}

/// How long the wall clock is trusted not to jump.
const MAX_NAP_MS: u64 = 60_000;

fn frame(line: Line) -> Frame {
    Frame {
        stream: match line.origin {
            Origin::Stdout => Stream::Stdout,
            Origin::Stderr => Stream::Stderr,
            Origin::Other(_) => Stream::Event,
        },
        time_us: Some(line.time_ms.saturating_mul(1_000)),
        bytes: Bytes::from(line.bytes),
        complete: true,
        cursor: Some(line.cursor).filter(|cursor| !cursor.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use fleet_seam::SimClock;

    use super::*;

    fn line(time_ms: u64, text: &str) -> Line {
        Line {
            time_ms,
            origin: Origin::Stdout,
            bytes: text.into(),
            cursor: String::new(),
        }
    }

    #[tokio::test]
    async fn each_line_comes_when_its_time_has() {
        let clock = Arc::new(SimClock::new(1_000));
        let mut source = source(
            vec![line(900, "past"), line(1_500, "future")],
            clock.clone(),
        )
        .unwrap();
        assert_eq!(source.output.next().await.unwrap().unwrap().bytes, "past");
        assert!(futures::poll!(source.output.next()).is_pending());
        clock.advance(Duration::from_millis(499));
        assert!(futures::poll!(source.output.next()).is_pending());
        clock.advance(Duration::from_millis(1));
        let frame = source.output.next().await.unwrap().unwrap();
        assert_eq!(
            (frame.bytes, frame.time_us),
            (Bytes::from("future"), Some(1_500_000))
        );
        assert!(source.output.next().await.is_none());
    }

    #[test]
    fn too_much_is_refused() {
        let clock = Arc::new(SimClock::new(0));
        let error = source(vec![line(0, &"x".repeat(MAX_BYTES))], clock.clone()).unwrap_err();
        assert_eq!(error.code, "lines-too-large");
        let many = (0..=MAX_BYTES / PER_LINE).map(|_| line(0, "")).collect();
        assert_eq!(source(many, clock).unwrap_err().code, "lines-too-large");
    }
}
