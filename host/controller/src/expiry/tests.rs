//! Which clock decides, and when to look again, by table.

use std::sync::Arc;

use fleet_model::{NodeId, WorkloadId};
use serde_json::json;

use super::plan::{Plan, plan};
use super::run::expire;
use super::{LONGEST_MS, Moment};
use crate::state::{Expiry, WorkloadRow};
use crate::tests::support::Bench;

const HOUR_MS: u64 = 3_600_000;
/// Some day, by the wall clock.
const DAY_MS: u64 = 1_700_000_000_000;

fn now(boot: &str, boot_ms: u64, unix_ms: u64) -> Moment {
    Moment {
        boot: boot.into(),
        boot_ms,
        unix_ms,
    }
}

#[test]
fn within_a_boot_its_clock_decides_and_after_it_the_one_on_the_wall() {
    // Set when the machine was up for 5 s, an hour ahead.
    let expiry = Expiry::after(&now("one", 5_000, DAY_MS), HOUR_MS);
    assert_eq!(expiry.at_ms, DAY_MS + HOUR_MS);
    for (moment, left_ms) in [
        (now("one", 5_000, DAY_MS), HOUR_MS),
        (now("one", 5_000 + HOUR_MS - 1, DAY_MS + HOUR_MS - 1), 1),
        (now("one", 5_000 + HOUR_MS, DAY_MS + HOUR_MS), 0),
        // The wall clock was set an hour back, or a year ahead: nothing changes.
        (now("one", 5_000 + HOUR_MS, DAY_MS), 0),
        (now("one", 5_001, DAY_MS + 9_000 * HOUR_MS), HOUR_MS - 1),
        // After a reboot the boot clock begins anew.
        (now("two", 1, DAY_MS + HOUR_MS - 7), 7),
        (now("two", 1, DAY_MS + HOUR_MS), 0),
        (now("two", 9 * HOUR_MS, DAY_MS), HOUR_MS),
        // Where boots cannot be told apart, there is only the wall clock.
        (now("", 9 * HOUR_MS, DAY_MS), HOUR_MS),
    ] {
        assert_eq!(expiry.left_ms(&moment), left_ms, "{moment:?}");
    }
    let unknown = Expiry::after(&now("", 5_000, DAY_MS), HOUR_MS);
    assert_eq!(unknown.left_ms(&now("", 9 * HOUR_MS, DAY_MS)), HOUR_MS);
}

#[test]
fn an_extension_is_added_and_always_gives_what_was_asked_for() {
    let set = now("one", 5_000, DAY_MS);
    let expiry = Expiry::after(&set, HOUR_MS);
    for (moment, left_ms) in [
        (set.clone(), 3 * HOUR_MS),
        (now("one", 5_000 + HOUR_MS - 1, DAY_MS), 2 * HOUR_MS + 1),
        (
            now("two", 1, DAY_MS + HOUR_MS / 2),
            2 * HOUR_MS + HOUR_MS / 2,
        ),
        // Its time was over, and nobody had removed it yet.
        (now("one", 5_000 + 9 * HOUR_MS, DAY_MS), 2 * HOUR_MS),
        (now("two", 1, DAY_MS + 9 * HOUR_MS), 2 * HOUR_MS),
    ] {
        let extended = expiry.extended(&moment, 2 * HOUR_MS).unwrap();
        assert_eq!(extended.left_ms(&moment), left_ms, "{moment:?}");
    }
    let most = expiry.extended(&set, LONGEST_MS - HOUR_MS).unwrap();
    assert_eq!(most.left_ms(&set), LONGEST_MS);
    for ms in [LONGEST_MS - HOUR_MS + 1, LONGEST_MS, u64::MAX] {
        assert_eq!(expiry.extended(&set, ms).unwrap_err().code, "invalid-ttl");
    }
}

fn row(number: u128, expires: Option<Expiry>) -> Arc<WorkloadRow> {
    Arc::new(WorkloadRow {
        id: WorkloadId::new(1, number),
        name: format!("w{number}").parse().unwrap(),
        node: NodeId::new(1, 1),
        expires,
    })
}

#[test]
fn what_is_due_is_named_and_the_next_look_is_soon_enough() {
    let set = now("one", 0, DAY_MS);
    let after = |ms| Some(Expiry::after(&set, ms));
    let id = |number| WorkloadId::new(1, number);
    for (rows, passed_ms, due, again_ms) in [
        (vec![], 0, vec![], None),
        (vec![None, None], 9_999, vec![], None),
        (vec![after(5_000)], 0, vec![], Some(5_000)),
        (vec![after(5_000)], 4_999, vec![], Some(1)),
        (vec![after(5_000)], 5_000, vec![id(0)], None),
        (
            vec![None, after(9_000), after(5_000), after(7_000)],
            2_000,
            vec![],
            Some(3_000),
        ),
        (
            vec![after(5_000), after(9_000), after(1_000)],
            6_000,
            vec![id(0), id(2)],
            Some(3_000),
        ),
        // The wall clock may be set while nobody looks, so somebody does now and then.
        (vec![after(9 * HOUR_MS)], 0, vec![], Some(60_000)),
    ] {
        let rows: Vec<_> = (0..)
            .zip(rows)
            .map(|(number, expires)| row(number, expires))
            .collect();
        let moment = now("one", passed_ms, DAY_MS);
        assert_eq!(
            plan(rows.iter(), &moment),
            Plan { due, again_ms },
            "{rows:?} {passed_ms}"
        );
    }
}

#[tokio::test]
async fn what_was_put_off_meanwhile_is_not_removed() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    let body = json!({"name": "web", "backend": "mock", "ttl": "10s"});
    bench.ask("POST", "/api/v1/workloads", body).await;
    let inner = &bench.controller.inner;
    let snapshot = inner.store.snapshot();
    let id = snapshot.state.workloads.values().next().unwrap().id;
    // Taken for due by somebody who looked at it before it was put off; and one that is gone.
    expire(inner, vec![id, WorkloadId::new(1, 1)])
        .await
        .unwrap();
    let shown = bench.get("/api/v1/workloads/web").await.json();
    assert_eq!(shown["removing"], false);
    bench.clock.advance(std::time::Duration::from_secs(10));
    expire(inner, vec![id]).await.unwrap();
    let shown = bench.get("/api/v1/workloads/web").await.json();
    assert_eq!(shown["removing"], true);
}
