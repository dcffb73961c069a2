//! `fleet:host/lines`: a source whose contents the guest brings itself.
//!
//! It stands behind no permission, because it reaches nothing; what it holds is bounded, and so is
//! what all of a call hold; a line of the future waits on the host's clock, not in the guest.

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
use crate::convert::{Intake, MAX_TOKEN};
use crate::state::CallState;

/// What one source may hold, cursors included.
const MAX_BYTES: usize = 1 << 20;
/// What all sources of one call may hold.
pub(crate) const MAX_BYTES_PER_CALL: usize = 4 << 20;
/// What a line takes beside its bytes.
const PER_LINE: usize = 16;

impl Host for CallState {
    async fn open(&mut self, lines: Vec<Line>) -> Answer<Resource<Source>> {
        answer(self.open_lines(lines))
    }
}

impl CallState {
    fn open_lines(&mut self, lines: Vec<Line>) -> Result<Resource<Source>, Error> {
        let size = check(&lines)?;
        self.lines_left = self.lines_left.checked_sub(size).ok_or_else(|| {
            Error::invalid(
                "lines-too-large",
                format!("all sources of lines of one call hold at most {MAX_BYTES_PER_CALL} bytes"),
            )
        })?;
        let services = &self.scope.services;
        let lines = clean(Intake(&services.redactor), lines);
        let source = source(lines, services.clock.clone());
        self.table.push(source).map_err(|_| {
            Error::new(
                ErrorKind::Exhausted,
                "too-many-sources",
                "this call holds too many sources",
            )
        })
    }
}

/// What they take.
///
/// # Errors
/// `invalid` (`lines-too-large`) when that is too much for one source.
fn check(lines: &[Line]) -> Result<usize, Error> {
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
    Ok(size)
}

fn clean(intake: Intake<'_>, lines: Vec<Line>) -> Vec<Line> {
    lines
        .into_iter()
        .map(|line| Line {
            bytes: intake.bytes(line.bytes),
            cursor: intake.text(line.cursor, MAX_TOKEN),
            ..line
        })
        .collect()
}

/// A source that gives these lines, each when its time has come.
fn source(lines: Vec<Line>, clock: Arc<dyn Clock>) -> Source {
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
    Source {
        output: output.boxed(),
        input: None,
    }
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
    use std::collections::BTreeMap;

    use fleet_capability::SecretValue;
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
        );
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
    fn too_much_is_refused_in_one_source_and_in_all_of_a_call() {
        let large = || line(0, &"x".repeat(MAX_BYTES - PER_LINE));
        assert_eq!(check(&[large()]).unwrap(), MAX_BYTES);
        assert_eq!(
            check(&[large(), line(0, "")]).unwrap_err().code,
            "lines-too-large"
        );
        let many: Vec<_> = (0..=MAX_BYTES / PER_LINE).map(|_| line(0, "")).collect();
        assert_eq!(check(&many).unwrap_err().code, "lines-too-large");

        let mut state = CallState::bare(None);
        for _ in 0..MAX_BYTES_PER_CALL / MAX_BYTES {
            state.open_lines(vec![large()]).unwrap();
        }
        let error = state.open_lines(vec![line(0, "x")]).unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Invalid, "lines-too-large")
        );
    }

    #[tokio::test]
    async fn the_value_of_a_secret_does_not_get_through() {
        let mut state = CallState::bare(None);
        let value = SecretValue::new(b"hunter22".to_vec());
        let known = BTreeMap::from([("a".parse().unwrap(), vec![value])]);
        state.scope.services.redactor.know(&known);
        let said = Line {
            cursor: "hunter22".into(),
            ..line(0, "say hunter22")
        };
        let source = state.open_lines(vec![said]).unwrap();
        let mut source = state.take(source).unwrap();
        let frame = source.output.next().await.unwrap().unwrap();
        assert_eq!(
            (frame.bytes, frame.cursor.as_deref()),
            (Bytes::from("say ***"), Some("***"))
        );
    }
}
