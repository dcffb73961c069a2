//! Packets of workloads, written down once each.

use fleet_model::packet::Gap;
use fleet_model::{Error, ItemKey, StoreId, WorkloadId};
use fleet_protocol::message::SpooledPacket;
use fleet_store::Tx;
use serde_json::value::RawValue;

use super::handshake::Settled;
use super::{counter, presence};
use crate::state::{ControllerState, ItemRow, PacketEntry, PacketsRow, item_key};

/// Writes packets down, and answers the highest number of the spool that is stored; 0 where the
/// item is not known here, so that the node keeps them.
///
/// # Errors
/// When a later session was issued meanwhile.
pub(super) fn packets(
    tx: &mut Tx<'_, ControllerState>,
    Settled { node, session }: Settled,
    item: &ItemKey,
    spool: StoreId,
    packets: Vec<SpooledPacket>,
) -> Result<u64, Error> {
    counter::check(presence::row(tx, node)?.session, session)?;
    let Ok(workload) = item.key.parse::<WorkloadId>() else {
        return Ok(0);
    };
    if tx.get::<ItemRow>(&item_key(node, item)).is_none() {
        return Ok(0);
    }
    let mut row = match tx.get::<PacketsRow>(&workload) {
        Some(row) => PacketsRow::clone(&row).follows(spool),
        None => PacketsRow::new(workload, spool),
    };
    let before = row.clone();
    for packet in packets {
        if packet.seq <= row.stored() {
            continue;
        }
        let missing = Gap::between(row.head, row.base + packet.seq);
        if let Some(gap) = missing {
            tx.stream_append(&workload, gap.to, packet.at_ms, PacketEntry::Gap(gap));
            if let Some(through) = row.add(gap.to, 0) {
                tx.stream_trim::<PacketEntry>(&workload, through);
            }
        }
        let seq = row.base + packet.seq;
        let bytes = u64::try_from(packet.json.len()).unwrap_or(u64::MAX);
        // The node has seen to it that it is JSON; what is not is kept as the text it is.
        let json = RawValue::from_string(packet.json.clone())
            .or_else(|_| serde_json::value::to_raw_value(&packet.json));
        if let Ok(json) = json {
            tx.stream_append(&workload, seq, packet.at_ms, PacketEntry::Packet(json));
        }
        if let Some(through) = row.add(seq, bytes) {
            tx.stream_trim::<PacketEntry>(&workload, through);
        }
    }
    let stored = row.stored();
    if row != before {
        tx.put(row);
    }
    Ok(stored)
}
