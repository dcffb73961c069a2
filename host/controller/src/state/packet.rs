//! Packets that workloads have emitted, as far as the controller keeps them.
//!
//! The packets themselves are a stream on the disk, by workload. The row says how far that stream
//! goes, and is compared and raised in the transaction that adds to it: so each packet is kept once.

use fleet_model::packet::Gap;
use fleet_model::{StoreId, WorkloadId};
use fleet_store::{Row, StreamRow};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The newest bytes of one workload's packets that are kept.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// The newest packets of one workload that are kept.
const KEPT_PACKETS: u64 = 100_000;

/// Packets go in pieces of about so many bytes, so that not every new one makes an old one go.
const PIECE_BYTES: u64 = 1024 * 1024;

/// The same, in packets.
const PIECE_PACKETS: u64 = 2_000;

/// How far the packets of one workload go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PacketsRow {
    /// Whose.
    pub(crate) workload: WorkloadId,
    /// The node's spool they come from.
    pub(crate) spool: StoreId,
    /// What is added to a spool's number to make ours: ours rise also when a spool begins anew.
    pub(crate) base: u64,
    /// The highest number kept, of ours.
    pub(crate) head: u64,
    /// The highest number that was given up here for age, of ours.
    pub(crate) floor: u64,
    /// What is kept, the oldest first.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    through: u64,
    packets: u64,
    bytes: u64,
}

impl PacketsRow {
    /// No packets yet.
    pub(crate) fn new(workload: WorkloadId, spool: StoreId) -> Self {
        Self {
            workload,
            spool,
            base: 0,
            head: 0,
            floor: 0,
            pieces: Vec::new(),
        }
    }

    /// The same, when its packets come from another spool, which numbers from 1 again.
    pub(crate) fn follows(self, spool: StoreId) -> Self {
        if self.spool == spool {
            return self;
        }
        Self {
            spool,
            base: self.head,
            ..self
        }
    }

    /// The highest number stored, of the spool's.
    pub(crate) fn stored(&self) -> u64 {
        self.head - self.base
    }

    /// Counts one more as kept, and says up to which of ours the oldest go for it.
    pub(crate) fn add(&mut self, seq: u64, bytes: u64) -> Option<u64> {
        self.head = seq;
        match self.pieces.last_mut() {
            Some(last) if last.bytes < PIECE_BYTES && last.packets < PIECE_PACKETS => {
                last.through = seq;
                last.packets += 1;
                last.bytes += bytes;
            }
            _ => self.pieces.push(Piece {
                through: seq,
                packets: 1,
                bytes,
            }),
        }
        let sum = |of: fn(&Piece) -> u64| self.pieces.iter().map(of).sum::<u64>();
        let is_over =
            sum(|piece| piece.bytes) > KEPT_BYTES || sum(|piece| piece.packets) > KEPT_PACKETS;
        if !is_over || self.pieces.len() < 2 {
            return None;
        }
        let oldest = self.pieces.remove(0);
        self.floor = oldest.through;
        Some(oldest.through)
    }
}

impl Row for PacketsRow {
    type Key = WorkloadId;

    fn key(&self) -> WorkloadId {
        self.workload
    }
}

/// One entry of the stream: a packet, or that some are missing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PacketEntry {
    /// As it was emitted.
    Packet(Box<RawValue>),
    /// Given up at its node.
    Gap(Gap),
}

impl StreamRow for PacketEntry {
    type Key = WorkloadId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_in_bounds() {
        let mut row = PacketsRow::new(WorkloadId::new(1, 1), StoreId::new(1, 1));
        let mut gone = 0;
        for seq in 1..=3_000 {
            if let Some(through) = row.add(seq, 64 * 1024) {
                assert!(through > gone && through < seq);
                gone = through;
            }
        }
        let kept = (3_000 - gone) * 64 * 1024;
        assert!(
            (KEPT_BYTES - 2 * PIECE_BYTES..=KEPT_BYTES).contains(&kept),
            "{kept}"
        );
        assert_eq!((row.head, row.floor), (3_000, gone));
        assert!(row.pieces.len() < 100);
    }

    #[test]
    fn numbers_go_on_when_a_spool_begins_anew() {
        let (first, second) = (StoreId::new(1, 1), StoreId::new(1, 2));
        let mut row = PacketsRow::new(WorkloadId::new(1, 1), first);
        row.add(7, 1);
        assert_eq!(row.stored(), 7);
        let row = row.follows(first);
        assert_eq!((row.base, row.stored()), (0, 7));
        let row = row.follows(second);
        assert_eq!((row.base, row.stored(), row.head), (7, 0, 7));
    }

    #[test]
    fn a_packet_is_kept_to_the_letter() {
        let text = r#"{"packet":{"n":12345678901234567890123,"s":"\u00e4"}}"#;
        let entry: PacketEntry = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), text);
    }
}
