//! `fleet:host/sources`: a guest can hold a source, return it, or let go of it.

use fleet_capability::Source;
use wasmtime::component::Resource;

use crate::bindings::fleet::host::sources::{Host, HostSource};
use crate::state::CallState;

impl Host for CallState {}

impl HostSource for CallState {
    async fn drop(&mut self, source: Resource<Source>) -> wasmtime::Result<()> {
        self.table.delete(source)?;
        Ok(())
    }
}
