//! `fleet:host/log`.

use tracing::Level;

use crate::bindings::fleet::host::log::{Host, Level as GuestLevel};
use crate::permission::Need;
use crate::state::CallState;

impl Host for CallState {
    async fn write(&mut self, level: GuestLevel, message: String) {
        if self.allow(Need::Log).is_err() {
            return;
        }
        let level = match level {
            GuestLevel::Trace => Level::TRACE,
            GuestLevel::Debug => Level::DEBUG,
            GuestLevel::Info => Level::INFO,
            GuestLevel::Warn => Level::WARN,
            GuestLevel::Error => Level::ERROR,
        };
        self.output.log(level, &message);
    }
}
