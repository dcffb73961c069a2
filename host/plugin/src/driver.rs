//! What the node asks of a runtime backend, whoever answers.
//!
//! [`Backend`](crate::Backend) answers by calling a component; tests and the simulation answer
//! with native doubles. The node knows only these two traits.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fleet_capability::process::OutputOptions;
use fleet_capability::source::Source;
use fleet_model::driver::{
    Creation, Description, Fingerprint, Handle, Listed, Observation, Workload,
};
use fleet_model::exec::{ExecSpec, ExecState, TerminalSize};
use fleet_model::plugin::Plugin;
use fleet_model::stats::Usage;
use fleet_model::{Error, ItemKey, Name, Op};
use tokio::sync::watch;

use crate::swap::Swaps;

/// One runtime backend. Each call is answered by whatever code is active when it begins; every
/// call ends within its deadline, with an answer or a typed error.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// What the active code said of itself when it was loaded.
    fn description(&self) -> Arc<Description>;

    /// Whether it can work on this machine.
    async fn fingerprint(&self) -> Result<Fingerprint, Error>;

    /// Whether secrets may be put into what is made under this op. The backend asks for those of an
    /// environment itself, as it prepares a process; whoever puts some elsewhere, as into files, asks
    /// here first.
    ///
    /// # Errors
    /// `denied`, with what would allow it.
    fn check_secrets(&self, op: &Op, names: &BTreeSet<Name>) -> Result<(), Error>;

    /// Makes a runtime that can be started. `Pending` is asked again with the same op.
    async fn create(&self, op: &Op, workload: &Workload) -> Result<Creation, Error>;

    /// Starts it, at most once per op.
    async fn start(&self, op: &Op, handle: &Handle) -> Result<Handle, Error>;

    /// Asks it to end, by a signal's name without `SIG`. `not-found` is success.
    async fn stop(&self, op: &Op, handle: &Handle, signal: &str) -> Result<Handle, Error>;

    /// Ends it. `not-found` is success.
    async fn kill(&self, op: &Op, handle: &Handle) -> Result<Handle, Error>;

    /// Removes all that was made. `not-found` is success.
    async fn destroy(&self, op: &Op, handle: &Handle) -> Result<(), Error>;

    /// Looks at it. `item` says on whose behalf, as for every call without an op: what fails again and
    /// again for one item is paused for that one.
    async fn inspect(&self, item: &ItemKey, handle: &Handle) -> Result<Observation, Error>;

    /// What became of these, in order. Never starts anything.
    async fn recover(&self, handles: &[Handle]) -> Result<Vec<Observation>, Error>;

    /// One page of all runtimes on this machine that carry an owner label of this backend, and
    /// the next page's cursor.
    async fn list(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Listed>, Option<String>), Error>;

    /// A source on which anything, or its end, means: look again.
    async fn watch(&self, item: &ItemKey, handle: &Handle) -> Result<Option<Source>, Error>;

    /// What the program printed; `unsupported` where the backend offers no logs.
    async fn logs(
        &self,
        item: &ItemKey,
        handle: &Handle,
        options: &OutputOptions,
    ) -> Result<Source, Error>;

    /// Gives the program a command on its input, once per `op.call`; `unsupported` where the backend
    /// takes none. When it returns the command cannot get lost any more.
    async fn send(&self, op: &Op, handle: &Handle, bytes: Bytes) -> Result<(), Error>;

    /// Sends the program a signal, by its name without `SIG`; `unsupported` where the backend sends
    /// none but those that end it.
    async fn signal(&self, _op: &Op, _handle: &Handle, _signal: &str) -> Result<(), Error> {
        Err(not_offered("no-signals", "sends no signals"))
    }

    /// What the runtime uses; `unsupported` where the backend does not tell, `not-found` when it
    /// does not run.
    async fn usage(&self, _item: &ItemKey, _handle: &Handle) -> Result<Usage, Error> {
        Err(not_offered("no-stats", "does not tell what it uses"))
    }

    /// Starts a program beside it, once per `op.call`, and says how the backend knows it;
    /// `unsupported` where the backend runs none.
    async fn exec(&self, _op: &Op, _handle: &Handle, _spec: &ExecSpec) -> Result<String, Error> {
        Err(not_offered("no-exec", "runs no programs beside others"))
    }

    /// The output of such a program from after `offset`, and its input.
    async fn open_exec(
        &self,
        _item: &ItemKey,
        _handle: &Handle,
        _exec: &str,
        _after: u64,
    ) -> Result<Source, Error> {
        Err(not_offered("no-exec", "runs no programs beside others"))
    }

    /// What became of such a program.
    async fn inspect_exec(
        &self,
        _item: &ItemKey,
        _handle: &Handle,
        _exec: &str,
    ) -> Result<ExecState, Error> {
        Err(not_offered("no-exec", "runs no programs beside others"))
    }

    /// The terminal of such a program has another size.
    async fn resize_exec(
        &self,
        _item: &ItemKey,
        _handle: &Handle,
        _exec: &str,
        _size: TerminalSize,
    ) -> Result<(), Error> {
        Err(not_offered("no-exec", "runs no programs beside others"))
    }

    /// Sends such a program a signal. `not-found` when it has ended.
    async fn signal_exec(
        &self,
        _op: &Op,
        _handle: &Handle,
        _exec: &str,
        _signal: &str,
    ) -> Result<(), Error> {
        Err(not_offered("no-exec", "runs no programs beside others"))
    }

    /// Ends what is left of such a program and forgets it. `not-found` is success.
    async fn remove_exec(&self, _op: &Op, _handle: &Handle, _exec: &str) -> Result<(), Error> {
        Err(not_offered("no-exec", "runs no programs beside others"))
    }
}

/// What a backend answers where it does not offer something.
fn not_offered(code: &str, what: &str) -> Error {
    Error::unsupported(code, format!("the workload's backend {what}"))
}

/// All backends of a node.
pub trait Drivers: Send + Sync + 'static {
    /// The active backend of this name. `unsupported` (`no-backend`) names those there are.
    ///
    /// # Errors
    /// When no active plugin of that name is a backend.
    fn driver(&self, backend: &Name) -> Result<Arc<dyn Driver>, Error>;

    /// Every plugin file that was found, in use or not.
    fn plugins(&self) -> Vec<Plugin>;

    /// Changes whenever `plugins` would answer something else.
    fn changes(&self) -> watch::Receiver<u64>;

    /// How one takes another's place, where that can be.
    fn swaps(&self) -> Option<&dyn Swaps> {
        None
    }
}
