//! Limits and ttl: within what can be held, and what makes sense.

use fleet_model::Error;
use fleet_model::quantity::{Size, Span};
use fleet_model::workload::WorkloadSpec;

use super::at;
use crate::expiry::{LONGEST_MS, SHORTEST_MS};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

pub(super) fn judge(spec: &WorkloadSpec) -> Vec<Error> {
    let limits = &spec.limits;
    let sizes = [
        ("memory", limits.memory, MIB, u64::MAX),
        ("disk", limits.disk, MIB, u64::MAX),
        ("log", limits.log, 128 * KIB, 16 * GIB),
    ];
    let mut reasons: Vec<_> = sizes
        .into_iter()
        .filter_map(|(name, size, least, most)| {
            let size = size.filter(|size| !(least..=most).contains(&size.as_bytes()))?;
            let (least, most) = (Size::from_bytes(least), Size::from_bytes(most));
            let range = match most.as_bytes() {
                u64::MAX => format!("{least} or more"),
                _ => format!("{least} to {most}"),
            };
            Some(out_of_range(name, size, &range))
        })
        .collect();
    if limits.processes == Some(0) {
        reasons.push(out_of_range("processes", 0, "1 or more"));
    }
    reasons.extend(spec.ttl.and_then(ttl));
    reasons
}

fn out_of_range(name: &str, given: impl std::fmt::Display, range: &str) -> Error {
    let reason = Error::invalid(
        "invalid-limit",
        format!("a limit of {given} for {name} cannot be held: write {range}, or leave it out"),
    );
    at(format!("/limits/{name}"), reason)
}

/// Whether a ttl, or what is added to one, is within range.
pub(crate) fn ttl(ttl: Span) -> Option<Error> {
    let is_fine = (SHORTEST_MS..=LONGEST_MS).contains(&ttl.as_ms());
    let reason = || {
        Error::invalid(
            "invalid-ttl",
            format!(
                "a ttl of {ttl} is out of range: write 1s to 10years (3652days 12h), or leave it out"
            ),
        )
    };
    (!is_fine).then(|| at("/ttl", reason()))
}
