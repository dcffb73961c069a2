//! What a guest may call: `fleet:host`, each interface behind its permission, and a WASI 0.2 that
//! gives nothing but time, randomness and a log.

mod clock;
mod config;
mod lines;
mod log;
mod process;
mod sources;

use fleet_model::Error;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::{Widest, fleet};
use crate::convert::to_guest;
use crate::state::CallState;

/// Everything a guest can link against.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Widest::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl fleet::common::types::Host for CallState {}

/// An import's answer, as the contract has it.
type Answer<T> = Result<T, fleet::common::types::Error>;

/// An answer on its way to the guest.
fn answer<T>(result: Result<T, Error>) -> Answer<T> {
    result.map_err(to_guest::error)
}

impl CallState {
    /// Has the host's own work done. Its time is not the guest's, and it ends even when the call
    /// does not wait for it any more, so that an effect is never cut in half.
    async fn outside<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let began = self.cpu.host_began();
        let result = tokio::spawn(work).await;
        self.cpu.host_ended(began);
        result.unwrap_or_else(|error| {
            Err(Error::internal(
                "host-failed",
                format!("a task of the host failed: {error}"),
            ))
        })
    }
}
