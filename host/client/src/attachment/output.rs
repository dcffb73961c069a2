//! Output as it is given out: each byte once, whatever the connections said. Pure.

use std::collections::VecDeque;

use bytes::Bytes;
use fleet_protocol::exec::KEPT_BYTES;

use super::Happening;

/// So much must have been seen before it is worth telling, in bytes: the program waits when
/// [`KEPT_BYTES`] were not.
const TELL_BYTES: u64 = KEPT_BYTES / 16;

/// Where a program's output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecStream {
    /// Its stdout, or its terminal.
    Stdout,
    /// Its stderr.
    Stderr,
}

/// Output that has come.
#[derive(Debug)]
pub(super) struct Output {
    /// The place after what has come.
    come: u64,
    /// The place after what was given out.
    given: u64,
    /// What was seen, by the caller's word, and what was told of that on this connection.
    seen: u64,
    told: u64,
    /// Come and not given out.
    ready: VecDeque<Happening>,
}

impl Output {
    /// Output goes on after here.
    pub(super) fn new(after: u64) -> Self {
        Self {
            come: after,
            given: after,
            seen: after,
            told: after,
            ready: VecDeque::new(),
        }
    }

    /// Bytes and the place after them.
    pub(super) fn bytes(&mut self, stream: ExecStream, to: u64, bytes: Bytes) {
        if to <= self.come {
            return;
        }
        let from = to.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.gap(from);
        let known = usize::try_from(self.come.saturating_sub(from)).unwrap_or(usize::MAX);
        let bytes = bytes.slice(known.min(bytes.len())..);
        self.come = to;
        self.ready
            .push_back(Happening::Output { stream, to, bytes });
    }

    /// Output up to here is not kept any more.
    pub(super) fn gap(&mut self, to: u64) {
        if to > self.come {
            let from = std::mem::replace(&mut self.come, to);
            self.ready.push_back(Happening::Gap { from, to });
        }
    }

    /// What to give out next. Giving it out is the last thing this does.
    pub(super) fn next(&mut self) -> Option<Happening> {
        let next = self.ready.pop_front()?;
        if let Happening::Output { to, .. } | Happening::Gap { to, .. } = &next {
            self.given = *to;
        }
        Some(next)
    }

    /// The place after what has come: where another connection is to go on.
    pub(super) fn come(&self) -> u64 {
        self.come
    }

    /// The caller has seen what was given out up to here.
    pub(super) fn see(&mut self, offset: u64) {
        self.seen = self.seen.max(offset.min(self.given));
    }

    /// A connection that was told what had come.
    pub(super) fn attached(&mut self) {
        self.told = self.seen;
    }

    /// What to tell, where it is worth telling.
    pub(super) fn news(&mut self) -> Option<u64> {
        (self.seen.saturating_sub(self.told) >= TELL_BYTES).then(|| self.last_news())?
    }

    /// What to tell, where there is anything.
    pub(super) fn last_news(&mut self) -> Option<u64> {
        let is_news = self.seen > self.told;
        self.told = self.seen;
        is_news.then_some(self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(output: &mut Output) -> Vec<(u64, String)> {
        let mut all = Vec::new();
        while let Some(next) = output.next() {
            all.push(match next {
                Happening::Output { to, bytes, .. } => {
                    (to, String::from_utf8(bytes.into()).unwrap())
                }
                Happening::Gap { from, to } => (to, format!("gap from {from}")),
                other => panic!("{other:?}"),
            });
        }
        all
    }

    #[test]
    fn each_byte_is_given_out_once_and_what_is_missing_is_a_gap() {
        let mut output = Output::new(2);
        let mut put = |to, text: &'static str| {
            output.bytes(ExecStream::Stdout, to, Bytes::from_static(text.as_bytes()));
        };
        put(5, "cde");
        put(5, "cde");
        put(7, "defg");
        put(1, "a");
        put(10, "j");
        let gap = "gap from 7".to_owned();
        assert_eq!(
            all(&mut output),
            [
                (5, "cde".into()),
                (7, "fg".into()),
                (9, gap),
                (10, "j".into())
            ]
        );
        output.gap(8);
        output.gap(12);
        assert_eq!(all(&mut output), [(12, "gap from 10".into())]);
        assert_eq!(output.come(), 12);
    }

    #[test]
    fn what_was_seen_is_told_now_and_then_and_at_the_end() {
        let mut output = Output::new(0);
        let much = Bytes::from(vec![0; usize::try_from(TELL_BYTES).unwrap()]);
        output.bytes(ExecStream::Stderr, TELL_BYTES, much);
        output.see(TELL_BYTES);
        assert_eq!(output.last_news(), None, "it was not given out");
        all(&mut output);
        output.see(TELL_BYTES - 1);
        assert_eq!(output.news(), None);
        output.see(u64::MAX);
        assert_eq!(output.news(), Some(TELL_BYTES));
        assert_eq!(output.last_news(), None);
    }
}
