//! `fleet:host/handles`: stands behind no permission, because it reaches nothing.

use crate::bindings::fleet::host::handles::Host;
use crate::state::CallState;

impl Host for CallState {
    async fn write_schema(&mut self) -> Option<u32> {
        self.scope.write_schema()
    }
}
