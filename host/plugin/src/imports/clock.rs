//! `fleet:host/clock`.

use super::{Answer, answer};
use crate::bindings::fleet::host::clock::Host;
use crate::permission::Need;
use crate::state::CallState;

impl Host for CallState {
    async fn now(&mut self) -> Answer<u64> {
        answer(
            self.allow(Need::Clock)
                .map(|()| self.scope.services.clock.unix_ms()),
        )
    }

    async fn since_boot(&mut self) -> Answer<u64> {
        answer(
            self.allow(Need::Clock)
                .map(|()| self.scope.services.clock.boot_ms()),
        )
    }
}
