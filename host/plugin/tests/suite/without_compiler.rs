//! A build without a compiler uses what is in the cache, and says so when nothing is.

use crate::support::{Guest, Machine, rejection};

#[tokio::test]
async fn what_is_not_in_the_cache_is_refused_with_the_way_out() {
    let machine = Machine::new();
    machine.plugin(&Guest::new("good"), "");
    let host = machine.host().await;
    let reason = rejection(&host, "good.wasm");
    assert!(
        reason.contains("no compiler") && reason.contains("`compiler` feature"),
        "{reason}"
    );
    assert_eq!(host.compilations(), 0);
}
