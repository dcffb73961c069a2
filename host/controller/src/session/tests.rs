//! The fence: what a replaced session still says changes nothing.

use fleet_model::workload::WorkloadState;
use fleet_protocol::message::OutboxEntry;
use fleet_store::WriteError;

use super::handshake::Settled;
use super::{presence, report};
use crate::journal::{Journal, plain};
use crate::state::Connection;
use crate::tests::scripted::{Scripted, status};
use crate::tests::support::Bench;

const JOURNAL: Journal = Journal {
    at_ms: 1,
    keep: 100,
};

#[tokio::test]
async fn a_session_that_was_replaced_writes_nothing() {
    let bench = Bench::new().await;
    let mut first = bench.node().await;
    bench.create("web").await;
    let (_, _, items) = first.delta().await;
    let mut second = Scripted::dial(&bench, first.hello.clone()).await;
    second.join().await;

    let node = first.hello.node;
    let old = Settled { node, session: 1 };
    let before = bench.store.snapshot().commit;
    let statuses = vec![status(&items[0], WorkloadState::Failed)];
    let entries = vec![OutboxEntry {
        seq: 1,
        at_ms: 1,
        event: plain("a", "b", "c"),
    }];
    let how = (Connection::Unknown, 1);
    let written = [
        bench
            .store
            .write(move |tx| report::statuses(tx, JOURNAL, old, statuses).map(drop))
            .await,
        bench
            .store
            .write(move |tx| report::outbox(tx, JOURNAL, old, entries).map(drop))
            .await,
        bench
            .store
            .write(move |tx| presence::plugins(tx, JOURNAL, node, 1, Vec::new()))
            .await,
        bench
            .store
            .write(move |tx| presence::end(tx, JOURNAL, node, 1, how, String::new()))
            .await,
    ];
    for outcome in written {
        let Err(WriteError::Refused(error)) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(error.code, "session-replaced");
    }
    assert_eq!(bench.store.snapshot().commit, before);
}
