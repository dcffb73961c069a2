//! `fleet:host/config`.

use super::{Answer, answer};
use crate::bindings::fleet::host::config::Host;
use crate::permission::Need;
use crate::state::CallState;

impl Host for CallState {
    async fn get(&mut self) -> Answer<String> {
        answer(
            self.allow(Need::Config)
                .map(|()| self.scope.settings.to_string()),
        )
    }
}
