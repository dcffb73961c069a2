//! The containers this host made, as the engine lists them.

use std::collections::BTreeMap;

use fleet_sdk::driver::{Listed, Listing};
use fleet_sdk::{Error, Page};
use serde::Deserialize;

use crate::answer::Answer;
use crate::api::Api;
use crate::refusal::{self, Doing};
use crate::runtime::Runtime;

/// One row.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Row {
    pub(crate) id: String,
    /// None of one that is just going.
    names: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

/// The rows of an answer.
pub(crate) fn read(answer: &Answer) -> Result<Vec<Row>, Error> {
    if answer.is_done() {
        answer.read()
    } else {
        Err(refusal::error(Doing::Other, answer))
    }
}

/// The one of this name. An engine's filter is a pattern, so more may have come.
pub(crate) fn named(rows: Vec<Row>, name: &str) -> Option<Row> {
    // Engines write a `/` before it.
    let is = |known: &String| known.strip_prefix('/').unwrap_or(known) == name;
    rows.into_iter()
        .find(|row| row.names.iter().flatten().any(is))
}

/// One page of them. Engines give all rows at once; by their ids they have an order that stays.
pub(crate) fn page(mut rows: Vec<Row>, api: Api, page: &Page) -> Result<Listing, Error> {
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    let after = page.cursor.as_deref().unwrap_or_default();
    let limit = usize::try_from(page.limit.max(1)).unwrap_or(usize::MAX);
    let mut rest = rows.into_iter().filter(|row| row.id.as_str() > after);
    let entries = rest
        .by_ref()
        .take(limit)
        .map(|row| row.listed(api))
        .collect::<Result<Vec<(String, Listed)>, Error>>()?;
    let more = rest.next().is_some();
    let next = entries.last().map(|(id, _)| id.clone()).filter(|_| more);
    Ok(Listing {
        entries: entries.into_iter().map(|(_, listed)| listed).collect(),
        next,
    })
}

impl Row {
    fn listed(self, api: Api) -> Result<(String, Listed), Error> {
        let label = |name: &str| {
            let labels = self.labels.as_ref();
            let value = labels.and_then(|labels| labels.get(name));
            value.cloned().unwrap_or_default()
        };
        let runtime = Runtime {
            container: self.id.clone(),
            api,
            terminal: None,
        };
        let listed = Listed {
            handle: runtime.handle()?,
            workload: label("fleet.workload"),
            node: label("fleet.node"),
            generation: label("fleet.generation").parse().unwrap_or_default(),
        };
        Ok((self.id, listed))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(ids: &[&str]) -> Vec<Row> {
        let rows: Vec<_> = ids
            .iter()
            .map(|id| {
                json!({
                    "Id": id, "Names": [format!("/fleet-{id}")], "State": "running",
                    "Labels": {"fleet.workload": "wl_1", "fleet.node": "nd_1", "fleet.generation": "7"},
                })
            })
            .collect();
        let body = serde_json::to_vec(&rows).unwrap();
        read(&Answer::new(200, &body)).unwrap()
    }

    fn ids(listing: &Listing) -> Vec<String> {
        let id = |listed: &Listed| Runtime::of(&listed.handle).unwrap().container;
        listing.entries.iter().map(id).collect()
    }

    #[test]
    fn pages_hold_each_container_once_in_any_order_of_the_engine() {
        let order = ["c3", "c1", "c5", "c2", "c4"];
        let mut cursor = None;
        let mut seen = Vec::new();
        for want in [2, 2, 1] {
            let page = super::page(rows(&order), Api::V1_41, &Page { cursor, limit: 2 }).unwrap();
            assert_eq!(page.entries.len(), want);
            seen.extend(ids(&page));
            cursor = page.next;
        }
        assert_eq!(cursor, None);
        assert_eq!(seen, ["c1", "c2", "c3", "c4", "c5"]);
        let whole = Page {
            cursor: None,
            limit: 5,
        };
        let page = super::page(rows(&order), Api::V1_41, &whole).unwrap();
        assert_eq!((page.entries.len(), page.next), (5, None));
        assert_eq!(page.entries[0].workload, "wl_1");
        assert_eq!(page.entries[0].node, "nd_1");
        assert_eq!(page.entries[0].generation, 7);
    }

    #[test]
    fn a_container_is_found_by_its_whole_name() {
        let found = named(rows(&["c1", "c12"]), "fleet-c1");
        assert_eq!(found.unwrap().id, "c1");
        assert!(named(rows(&["c12"]), "fleet-c1").is_none());
        let bare = Row {
            names: Some(vec!["fleet-c1".to_owned()]),
            ..Row::default()
        };
        assert!(named(vec![bare], "fleet-c1").is_some());
    }

    #[test]
    fn a_row_that_says_little_spoils_no_other() {
        let body = br#"[{"Id":"c1","Names":null,"Labels":null},{"Id":"c2"}]"#;
        let rows = read(&Answer::new(200, body)).unwrap();
        let whole = Page {
            cursor: None,
            limit: 9,
        };
        assert_eq!(page(rows, Api::V1_41, &whole).unwrap().entries.len(), 2);
    }

    #[test]
    fn what_is_no_list_is_asked_again() {
        for (status, body) in [(200, &b"{}"[..]), (200, b"[{\"Id\":"), (500, b"")] {
            let error = read(&Answer::new(status, body)).unwrap_err();
            assert_eq!(error.kind, fleet_sdk::ErrorKind::Unavailable);
        }
    }
}
