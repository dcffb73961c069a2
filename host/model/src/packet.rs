//! Packets: JSON that a workload emits, in order, each kept once.
//!
//! The numbers of a workload's packets rise by one from 1, over all its tries. Packets that had to
//! be given up for want of room leave a gap, and the gap is said: nothing is lost silently.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The largest packet, in bytes of its JSON.
pub const MAX_PACKET_BYTES: usize = 64 * 1024;

/// The variable that holds the path of the socket a workload emits packets through.
pub const SOCKET_VARIABLE: &str = "FLEET_PACKET_SOCKET";

/// One entry of a workload's packets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Packet {
    /// Its number; of a gap, the number of the last packet that is missing. The cursor: reading
    /// after it goes on behind it.
    pub seq: u64,
    /// When the workload's node took it, in Unix milliseconds; of a gap, when it was noticed.
    pub at_ms: u64,
    /// What it is.
    #[serde(flatten)]
    pub what: PacketBody,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PacketBody {
    /// A packet, as it was emitted.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    Packet(Value),
    /// Packets that are missing.
    Gap(Gap),
}

/// Packets that were given up, the oldest first, because they did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gap {
    /// The first that is missing.
    pub from: u64,
    /// The last that is missing.
    pub to: u64,
    /// How many are missing.
    pub count: u64,
}

impl Gap {
    /// The gap between the last number seen and the next; none where they follow each other.
    #[must_use]
    pub fn between(last: u64, next: u64) -> Option<Self> {
        let from = last.checked_add(1)?;
        let to = next.checked_sub(1)?;
        (from <= to).then(|| Self {
            from,
            to,
            count: to - from + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_what_lies_between() {
        assert_eq!(Gap::between(0, 1), None);
        assert_eq!(Gap::between(7, 8), None);
        assert_eq!(Gap::between(7, 7), None);
        assert_eq!(
            Gap::between(7, 10),
            Some(Gap {
                from: 8,
                to: 9,
                count: 2
            })
        );
        assert_eq!(Gap::between(u64::MAX, 0), None);
    }

    #[test]
    fn an_entry_says_what_it_is_by_its_key() {
        let packet = Packet {
            seq: 1,
            at_ms: 2,
            what: PacketBody::Packet(serde_json::json!({"ok": true})),
        };
        let text = serde_json::to_string(&packet).unwrap();
        assert_eq!(text, r#"{"seq":1,"at_ms":2,"packet":{"ok":true}}"#);
        assert_eq!(serde_json::from_str::<Packet>(&text).unwrap(), packet);
        let gap = Packet {
            seq: 9,
            at_ms: 2,
            what: PacketBody::Gap(Gap {
                from: 8,
                to: 9,
                count: 2,
            }),
        };
        let text = serde_json::to_string(&gap).unwrap();
        assert_eq!(
            text,
            r#"{"seq":9,"at_ms":2,"gap":{"from":8,"to":9,"count":2}}"#
        );
    }
}
