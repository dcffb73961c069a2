//! What a guest may call: `fleet:host`, each interface behind its permission, and a WASI 0.2 that
//! gives nothing but time, randomness and a log.

mod clock;
mod config;
mod endpoint;
mod handles;
mod lines;
mod log;
mod process;
mod sources;

use fleet_model::{Error, ErrorKind};
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::{Widest, fleet};
use crate::convert::to_guest;
use crate::state::{CallState, MAX_HOST_WORK};

pub(crate) use lines::MAX_BYTES_PER_CALL;

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
    /// does not wait for it any more, so that an effect is never cut in half. How much of it one
    /// plugin may leave behind is bounded.
    ///
    /// # Errors
    /// The work's own, or `exhausted` (`host-busy`).
    async fn outside<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.scope.host_work.clone().try_acquire_owned();
        let place = place.map_err(|_| self.host_is_busy())?;
        let began = self.cpu.host_began();
        let piece = self.sent.begin();
        let result = tokio::spawn(async move {
            let result = work.await;
            drop((place, piece));
            result
        })
        .await;
        self.cpu.host_ended(began);
        result.unwrap_or_else(|error| {
            Err(Error::internal(
                "host-failed",
                format!("a task of the host failed: {error}"),
            ))
        })
    }

    fn host_is_busy(&self) -> Error {
        let message = format!(
            "the host is still doing {MAX_HOST_WORK} things that `{}` asked for: ask again later",
            self.scope.plugin
        );
        let mut busy = Error::new(ErrorKind::Exhausted, "host-busy", message);
        busy.retry_after_ms = Some(1_000);
        busy
    }
}
