//! The looks of the last hour, in a bounded number of bytes.

use std::collections::VecDeque;

use fleet_model::stats::{HISTORY_MS, PERIOD_MS, Sample, Usage};

/// How many looks are kept of one workload.
pub(super) const LOOKS: usize = (HISTORY_MS / PERIOD_MS) as usize;

/// One look, in 48 bytes: the highest number stands for what is absent.
#[derive(Clone, Copy)]
struct Packed {
    at_ms: u64,
    cpu_us: u64,
    memory_bytes: u64,
    read_bytes: u64,
    written_bytes: u64,
    processes: u32,
    cpu_millis: u32,
}

/// What the looks of one workload take at most, in bytes.
pub(super) const MOST_BYTES: usize = LOOKS * size_of::<Packed>();

// Said in docs/stats.md.
const _: () = assert!(MOST_BYTES == 17_280);

/// The newest looks, in order.
#[derive(Default)]
pub(super) struct Ring(VecDeque<Packed>);

impl Ring {
    /// Adds a look; the oldest goes for it.
    pub(super) fn push(&mut self, sample: &Sample) {
        if self.0.len() == LOOKS {
            self.0.pop_front();
        }
        // Doubling by itself would end beyond the bound.
        if self.0.len() == self.0.capacity() {
            let more = self.0.len().clamp(8, LOOKS).min(LOOKS - self.0.len());
            self.0.reserve_exact(more);
        }
        self.0.push_back(pack(sample));
    }

    /// The looks at or after this Unix time in milliseconds.
    pub(super) fn since(&self, at_ms: u64) -> impl Iterator<Item = Sample> {
        self.0
            .iter()
            .filter(move |packed| packed.at_ms >= at_ms)
            .map(unpack)
    }
}

fn pack(sample: &Sample) -> Packed {
    let Usage {
        cpu_us,
        memory_bytes,
        processes,
        read_bytes,
        written_bytes,
    } = sample.usage;
    Packed {
        at_ms: sample.at_ms,
        cpu_us: cpu_us.unwrap_or(u64::MAX),
        memory_bytes: memory_bytes.unwrap_or(u64::MAX),
        read_bytes: read_bytes.unwrap_or(u64::MAX),
        written_bytes: written_bytes.unwrap_or(u64::MAX),
        processes: processes.unwrap_or(u32::MAX),
        cpu_millis: sample.cpu_millis.unwrap_or(u32::MAX),
    }
}

fn unpack(packed: &Packed) -> Sample {
    let long = |number: u64| (number != u64::MAX).then_some(number);
    let short = |number: u32| (number != u32::MAX).then_some(number);
    Sample {
        at_ms: packed.at_ms,
        cpu_millis: short(packed.cpu_millis),
        usage: Usage {
            cpu_us: long(packed.cpu_us),
            memory_bytes: long(packed.memory_bytes),
            processes: short(packed.processes),
            read_bytes: long(packed.read_bytes),
            written_bytes: long(packed.written_bytes),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_read_back_and_what_is_absent_stays_so() {
        let full = Sample {
            at_ms: 1,
            cpu_millis: Some(2),
            usage: Usage {
                cpu_us: Some(3),
                memory_bytes: Some(4),
                processes: Some(5),
                read_bytes: Some(6),
                written_bytes: Some(7),
            },
        };
        let empty = Sample {
            at_ms: 9,
            cpu_millis: None,
            usage: Usage::default(),
        };
        let mut ring = Ring::default();
        ring.push(&full);
        ring.push(&empty);
        assert_eq!(ring.since(0).collect::<Vec<_>>(), [full, empty]);
        assert_eq!(ring.since(2).collect::<Vec<_>>(), [empty]);
    }

    #[test]
    fn an_hour_is_kept_and_takes_no_more_than_it_says() {
        let mut ring = Ring::default();
        for number in 0..5_000 {
            ring.push(&Sample {
                at_ms: number,
                cpu_millis: None,
                usage: Usage::default(),
            });
            assert!(ring.0.capacity() <= LOOKS, "{}", ring.0.capacity());
        }
        let kept: Vec<u64> = ring.since(0).map(|sample| sample.at_ms).collect();
        assert_eq!((kept.len(), kept[0], kept[LOOKS - 1]), (360, 4_640, 4_999));
    }
}
