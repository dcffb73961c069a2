//! Who uses a secret: the workloads that name it and should be there. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::state::ItemRow;
use crate::workload::Glance;

/// The secrets that these items name, each with the names of the workloads that do.
pub(crate) fn references<'a>(
    rows: impl Iterator<Item = &'a Arc<ItemRow>>,
) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for glance in rows.filter_map(|row| Glance::wanted(row)) {
        for secret in glance.secrets() {
            found.entry(secret).or_default().push(glance.name);
        }
    }
    found.values_mut().for_each(|names| names.sort_unstable());
    found
}
