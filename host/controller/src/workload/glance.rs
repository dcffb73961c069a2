//! A look at a stored intent: the few facts that are looked for in many of them, read where they
//! stand and not copied. An intent may hold a megabyte of files.

use std::collections::{BTreeMap, BTreeSet};

use fleet_model::item::workload_kind;
use serde::Deserialize;

use crate::state::ItemRow;

/// A workload, as far as others have to do with it.
#[derive(Debug, Deserialize)]
pub(crate) struct Glance<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    #[serde(borrow)]
    spec: Spec<'a>,
}

#[derive(Debug, Deserialize)]
struct Spec<'a> {
    backend: &'a str,
    #[serde(borrow, default)]
    env: BTreeMap<&'a str, Held<'a>>,
    #[serde(borrow, default)]
    files: BTreeMap<&'a str, Held<'a>>,
    #[serde(borrow, default)]
    ports: BTreeMap<&'a str, u16>,
}

/// A variable's value, or a file.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Held<'a> {
    #[serde(borrow)]
    Text(#[expect(dead_code, reason = "tells it from a table")] &'a str),
    Table {
        #[serde(borrow, default)]
        secret: Option<&'a str>,
    },
}

impl<'a> Glance<'a> {
    /// A look at this item. Nothing where it is no workload.
    pub(crate) fn of(row: &'a ItemRow) -> Option<Self> {
        let is_workload = row.id.kind == workload_kind();
        is_workload
            .then(|| Self::deserialize(&row.intent).ok())
            .flatten()
    }

    /// A look at this item, if it should be there: what is on its way out needs nothing any more.
    pub(crate) fn wanted(row: &'a ItemRow) -> Option<Self> {
        Self::of(row).filter(|_| !row.is_tombstone())
    }

    /// Its backend.
    pub(crate) fn backend(&self) -> &'a str {
        self.spec.backend
    }

    /// The secrets it names.
    pub(crate) fn secrets(&self) -> BTreeSet<&'a str> {
        let held = self.spec.env.values().chain(self.spec.files.values());
        held.filter_map(|held| match held {
            Held::Text(_) => None,
            Held::Table { secret } => *secret,
        })
        .collect()
    }

    /// The ports it has fixed.
    pub(crate) fn fixed_ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.spec.ports.values().copied().filter(|port| *port != 0)
    }
}
