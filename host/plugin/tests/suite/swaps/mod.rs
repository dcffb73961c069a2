//! New code in the place of old: what is taken and what is not, what becomes of calls, what is put
//! back, what a crash leaves.

mod back;
mod bad;
mod calls;
mod crashes;
mod folder;
mod handles;
mod start;

use std::sync::Arc;

use fleet_plugin::PluginHost;

use crate::support::guest::Said;
use crate::support::{Guest, Machine};

/// A good guest, in this version.
fn good(version: &str) -> Guest {
    Guest::new("mock").version(version).knowing(Said::Running)
}

/// A machine on which version 0.1.0 serves.
async fn serving() -> (Machine, Arc<PluginHost>) {
    let machine = Machine::new();
    machine.plugin(&good("0.1.0"), "");
    let host = machine.host().await;
    (machine, host)
}
