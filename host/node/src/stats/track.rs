//! What is known of one workload's use. Pure.

use fleet_model::Error;
use fleet_model::item::{Attempt, Generation};
use fleet_model::stats::{PERIOD_MS, Sample, Usage};

use super::ring::Ring;

/// A backend that does not tell what its workloads use is asked again after this many milliseconds.
const SILENCE_MS: u64 = 10 * 60 * 1_000;

/// A look that took too long is not repeated for this many milliseconds.
pub(super) const SLOW_MS: u64 = 60 * 1_000;

/// Two looks closer than this many milliseconds are too close for the processor use between them to
/// mean anything.
const LEAST_MS: u64 = 500;

/// Which try of which intent: its counters begin at nothing.
pub(super) type Try = (Generation, Attempt);

/// A look, with the time by which rates are computed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    /// On the boot clock, in milliseconds.
    pub(super) boot_ms: u64,
    /// What was seen.
    pub(super) sample: Sample,
}

/// What is known of one workload.
pub(super) struct Track {
    of: Try,
    /// The newest look at this try.
    last: Option<Look>,
    /// The looks of the last hour, of all tries.
    ring: Ring,
    /// When the newest look of the ring was taken, on the boot clock.
    kept_boot_ms: Option<u64>,
    /// When the node looks by itself next, on the boot clock.
    next_ms: u64,
    /// Why there is nothing to ask before `next_ms`.
    silent: Option<Error>,
    /// Whether the node's own look is under way.
    pub(super) is_under_way: bool,
}

impl Track {
    /// Nothing is known yet; the first look of its own comes at `first_ms` on the boot clock.
    pub(super) fn new(of: Try, first_ms: u64) -> Self {
        Self {
            of,
            last: None,
            ring: Ring::default(),
            kept_boot_ms: None,
            next_ms: first_ms,
            silent: None,
            is_under_way: false,
        }
    }

    /// Another try: what was known of the one before is history.
    pub(super) fn turn_to(&mut self, of: Try) {
        if self.of != of {
            self.of = of;
            self.last = None;
            self.silent = None;
        }
    }

    /// Whether it is time for a look; the next one is then a period later.
    pub(super) fn is_due(&mut self, now_ms: u64) -> bool {
        let is_due = !self.is_under_way && now_ms >= self.next_ms;
        if is_due {
            // In step with the times before, and never several at once after a pause.
            self.next_ms = (self.next_ms + PERIOD_MS).max(now_ms + PERIOD_MS / 2);
            self.silent = None;
        }
        is_due
    }

    /// The newest look at this try.
    pub(super) fn last(&self) -> Option<&Look> {
        self.last.as_ref()
    }

    /// Why it is not asked at this time.
    pub(super) fn silent(&self, now_ms: u64) -> Option<&Error> {
        self.silent.as_ref().filter(|_| now_ms < self.next_ms)
    }

    /// The looks at or after this Unix time in milliseconds.
    pub(super) fn since(&self, at_ms: u64) -> impl Iterator<Item = Sample> {
        self.ring.since(at_ms)
    }

    /// A look succeeded. One of another try is of no use any more.
    pub(super) fn note(&mut self, of: Try, boot_ms: u64, at_ms: u64, usage: Usage) {
        if self.of != of {
            return;
        }
        let sample = Sample {
            at_ms,
            cpu_millis: cpu_millis(self.last.as_ref(), boot_ms, usage),
            usage,
        };
        // Somebody may ask far more often than the node looks: the hour is kept in even steps.
        let is_step = self
            .kept_boot_ms
            .is_none_or(|kept| boot_ms.saturating_sub(kept) >= PERIOD_MS / 2);
        if is_step {
            self.ring.push(&sample);
            self.kept_boot_ms = Some(boot_ms);
        }
        self.silent = None;
        self.last = Some(Look { boot_ms, sample });
    }

    /// A look failed.
    pub(super) fn failed(&mut self, of: Try, now_ms: u64, error: &Error) {
        use fleet_model::ErrorKind::{Deadline, Unsupported};
        let pause_ms = match error.kind {
            Unsupported => SILENCE_MS,
            Deadline => SLOW_MS,
            _ => return,
        };
        if self.of == of {
            self.next_ms = now_ms + pause_ms;
            self.silent = Some(error.clone());
        }
    }
}

/// Processor use since the look before, in thousandths of a processor.
fn cpu_millis(before: Option<&Look>, boot_ms: u64, usage: Usage) -> Option<u32> {
    let before = before?;
    let span_ms = boot_ms.checked_sub(before.boot_ms)?;
    if span_ms < LEAST_MS {
        return before.sample.cpu_millis;
    }
    // Thousandths of a second in a millisecond are thousandths of a processor.
    let used_us = usage.cpu_us?.checked_sub(before.sample.usage.cpu_us?)?;
    u32::try_from(used_us / span_ms).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Try = (Generation(1), Attempt(1));
    const SECOND: Try = (Generation(1), Attempt(2));

    fn cpu(cpu_us: u64) -> Usage {
        Usage {
            cpu_us: Some(cpu_us),
            ..Usage::default()
        }
    }

    fn last(track: &Track) -> Option<u32> {
        track.last().unwrap().sample.cpu_millis
    }

    #[test]
    fn processor_use_comes_from_the_counter_and_the_boot_clock() {
        let mut track = Track::new(FIRST, 0);
        track.note(FIRST, 10_000, 1, cpu(5_000_000));
        assert_eq!(last(&track), None, "nothing to compare with");
        // The wall clock was set back meanwhile.
        track.note(FIRST, 20_000, 0, cpu(7_500_000));
        assert_eq!(last(&track), Some(250));
        track.note(FIRST, 20_400, 3, cpu(7_500_001));
        assert_eq!(last(&track), Some(250), "too close to say");
        track.note(FIRST, 22_400, 3, cpu(11_500_001));
        assert_eq!(last(&track), Some(2_000), "two processors");
        track.note(FIRST, 32_400, 3, cpu(1));
        assert_eq!(last(&track), None, "a counter that began again");
        track.note(FIRST, 42_400, 3, Usage::default());
        assert_eq!(last(&track), None);
    }

    #[test]
    fn another_try_begins_anew_and_keeps_the_history() {
        let mut track = Track::new(FIRST, 0);
        track.note(FIRST, 10_000, 1, cpu(5_000_000));
        track.turn_to(SECOND);
        assert!(track.last().is_none());
        // A look at the old try that was under way.
        track.note(FIRST, 20_000, 2, cpu(6_000_000));
        assert!(track.last().is_none());
        track.note(SECOND, 30_000, 3, cpu(7_000_000));
        assert_eq!(last(&track), None);
        let kept: Vec<u64> = track.since(0).map(|sample| sample.at_ms).collect();
        assert_eq!(kept, [1, 3]);
        assert_eq!(track.since(2).count(), 1);
    }

    #[test]
    fn the_hour_is_kept_in_even_steps_however_often_somebody_asks() {
        let mut track = Track::new(FIRST, 0);
        for second in 0..100 {
            track.note(FIRST, second * 1_000, second, cpu(second));
        }
        let kept: Vec<u64> = track.since(0).map(|sample| sample.at_ms).collect();
        assert_eq!(kept, (0..20).map(|n| n * 5).collect::<Vec<_>>());
        assert_eq!(track.last().unwrap().sample.at_ms, 99);
    }

    #[test]
    fn looks_come_once_in_a_period_and_are_not_caught_up_on() {
        let mut track = Track::new(FIRST, 3_000);
        assert!(!track.is_due(2_999));
        assert!(track.is_due(3_100));
        assert!(!track.is_due(12_999));
        assert!(track.is_due(13_000));
        // The machine slept.
        assert!(track.is_due(500_000));
        assert!(!track.is_due(504_999));
        assert!(track.is_due(505_000));
        track.is_under_way = true;
        assert!(!track.is_due(900_000));
    }

    #[test]
    fn a_backend_that_does_not_tell_is_left_alone_for_ten_minutes() {
        let mut track = Track::new(FIRST, 0);
        assert!(track.is_due(0));
        track.failed(FIRST, 1_000, &Error::unsupported("no-stats", "no"));
        assert!(!track.is_due(600_999));
        assert_eq!(track.silent(600_999).unwrap().code, "no-stats");
        assert!(track.silent(601_000).is_none());
        assert!(track.is_due(601_000));
        // One that only fails is asked as before.
        track.failed(FIRST, 601_000, &Error::unavailable("x", "x"));
        assert!(track.is_due(611_000));
        let slow = Error::new(fleet_model::ErrorKind::Deadline, "x", "x");
        track.failed(FIRST, 611_000, &slow);
        assert!(!track.is_due(670_999) && track.is_due(671_000));
        track.failed(FIRST, 671_000, &slow);
        track.turn_to(SECOND);
        assert!(track.silent(671_001).is_none(), "another try is asked");
    }
}
