//! Input for the program that is in the shim's hands.

use std::collections::VecDeque;

use fleet_model::Error;

use crate::process::exec::limits::INPUT_BYTES;
use crate::process::exec::wire::{self, InputState};

/// What was taken and what the program has of it. Of two that send the same bytes of the same offset
/// the second has no effect.
pub(super) struct Intake {
    waiting: VecDeque<u8>,
    /// What the program is given at the end, after all that waits. It was not taken and does not count.
    farewell: VecDeque<u8>,
    taken: u64,
    /// The newest byte that was taken.
    last: Option<u8>,
    state: InputState,
}

impl Intake {
    pub(super) fn new(state: InputState) -> Self {
        Self {
            waiting: VecDeque::new(),
            farewell: VecDeque::new(),
            taken: 0,
            last: None,
            state,
        }
    }

    /// How it stands.
    pub(super) fn told(&self) -> wire::Intake {
        let has_written = self.taken.saturating_sub(self.waiting.len() as u64);
        wire::Intake {
            taken: self.taken,
            allowed: has_written + INPUT_BYTES,
            state: self.state,
        }
    }

    /// Whether who was told this should be told again.
    pub(super) fn is_news(&self, told: wire::Intake) -> bool {
        let now = self.told();
        let has_step = now.allowed.saturating_sub(told.allowed) >= INPUT_BYTES / 4;
        let is_empty = self.waiting.is_empty() && now.allowed > told.allowed;
        (now.taken, now.state) != (told.taken, told.state) || has_step || is_empty
    }

    /// Takes the bytes from this offset on that were not taken before. Where nobody will read them
    /// they are passed over.
    ///
    /// # Errors
    /// `invalid` where bytes before them are missing, or they are more than was allowed.
    pub(super) fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if self.state != InputState::Open {
            return Ok(());
        }
        let known = self.taken.checked_sub(offset).ok_or_else(|| {
            bad(format!(
                "the input from {} to {offset} is missing",
                self.taken
            ))
        })?;
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let fresh = bytes.get(known..).unwrap_or_default();
        let told = self.told();
        if told.taken + fresh.len() as u64 > told.allowed {
            return Err(bad("more input was sent than was allowed".to_owned()));
        }
        self.waiting.extend(fresh);
        self.taken += fresh.len() as u64;
        self.last = fresh.last().copied().or(self.last);
        Ok(())
    }

    /// Nothing more comes; the program is given `farewell` after all that was taken.
    pub(super) fn end(&mut self, farewell: &[u8]) {
        if self.state == InputState::Open {
            self.state = InputState::Ended;
            self.farewell.extend(farewell);
        }
    }

    /// The program reads no more.
    pub(super) fn close(&mut self) {
        self.state = InputState::Closed;
        self.waiting.clear();
        self.farewell.clear();
    }

    /// What is to be written next, in one piece.
    pub(super) fn waiting(&self) -> &[u8] {
        match self.waiting.is_empty() {
            true => self.farewell.as_slices().0,
            false => self.waiting.as_slices().0,
        }
    }

    /// So much of that piece was written.
    pub(super) fn wrote(&mut self, count: usize) {
        let from = match self.waiting.is_empty() {
            true => &mut self.farewell,
            false => &mut self.waiting,
        };
        from.drain(..count.min(from.len()));
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state == InputState::Ended
    }

    /// The newest byte that was taken.
    pub(super) fn last(&self) -> Option<u8> {
        self.last
    }
}

fn bad(message: String) -> Error {
    Error::invalid("bad-input", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_one_offset_are_taken_once() {
        let mut intake = Intake::new(InputState::Open);
        intake.take(0, b"abc").unwrap();
        intake.take(0, b"abc").unwrap();
        intake.take(1, b"bcde").unwrap();
        intake.take(2, b"").unwrap();
        assert_eq!((intake.waiting(), intake.told().taken), (&b"abcde"[..], 5));
        assert_eq!(intake.take(6, b"x").unwrap_err().code, "bad-input");
        assert_eq!(intake.last(), Some(b'e'));
    }

    #[test]
    fn what_the_program_does_not_read_bounds_what_is_allowed() {
        let mut intake = Intake::new(InputState::Open);
        let first = intake.told();
        assert_eq!(first.allowed, INPUT_BYTES);
        let all = vec![b'x'; INPUT_BYTES as usize];
        intake.take(0, &all).unwrap();
        assert_eq!(
            intake.take(INPUT_BYTES, b"x").unwrap_err().code,
            "bad-input"
        );
        let full = intake.told();
        assert!(intake.is_news(first) && !intake.is_news(full));
        assert_eq!((full.taken, full.allowed), (INPUT_BYTES, INPUT_BYTES));
        intake.wrote(10);
        assert!(!intake.is_news(full), "not for every byte");
        intake.wrote(INPUT_BYTES as usize / 4);
        assert!(intake.is_news(full));
        let some = intake.told();
        intake.wrote(all.len());
        assert!(intake.is_news(some));
        assert_eq!(intake.told().allowed, 2 * INPUT_BYTES);
        intake.take(INPUT_BYTES, b"x").unwrap();
    }

    #[test]
    fn after_its_end_and_when_it_is_closed_nothing_is_taken() {
        let mut intake = Intake::new(InputState::Open);
        intake.take(0, b"ab").unwrap();
        intake.end(b"\x04");
        intake.end(b"\x04");
        intake.take(2, b"c").unwrap();
        assert_eq!((intake.waiting(), intake.told().taken), (&b"ab"[..], 2));
        assert!(intake.has_ended());
        intake.wrote(2);
        assert_eq!(intake.waiting(), b"\x04");
        intake.close();
        assert_eq!(intake.waiting(), b"");
        assert_eq!(intake.told().state, InputState::Closed);
    }

    #[test]
    fn the_end_while_bytes_wait_takes_back_nothing_that_was_allowed() {
        let mut intake = Intake::new(InputState::Open);
        intake.take(0, b"abc").unwrap();
        let before = intake.told();
        assert_eq!(before.allowed, INPUT_BYTES);
        intake.end(b"\x04\x04");
        let ended = intake.told();
        assert_eq!((ended.taken, ended.allowed), (3, INPUT_BYTES));
        assert!(intake.is_news(before) && !intake.is_news(ended));
        let mut given = Vec::new();
        while !intake.waiting().is_empty() {
            given.push(intake.waiting()[0]);
            intake.wrote(1);
        }
        assert_eq!(given, b"abc\x04\x04");
        let all = intake.told();
        assert_eq!((all.taken, all.allowed), (3, INPUT_BYTES + 3));
    }
}
