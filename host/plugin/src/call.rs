//! One call: a fresh instance, under limits, with exactly one answer.
//!
//! The wall clock is watched from outside the store, so it also ends a call whose guest is parked
//! in an import. Whatever ends a call, its store is dropped and nothing of it is seen again.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::{Error, Name, Op};
use futures::future::BoxFuture;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::exports::fleet::backend::driver;
use crate::bindings::fleet::common::types as wit;
use crate::convert::from_guest;
use crate::engine::HostEngine;
use crate::failure::Failed;
use crate::lane::Lane;
use crate::manifest::Limits;
use crate::state::{CallState, Scope};
use crate::template::Template;

/// What a guest's export gives back: its own error is an answer too.
pub(crate) type GuestResult<T> = wasmtime::Result<Result<T, wit::Error>>;

/// A component that can be called.
pub(crate) struct Callee {
    pub(crate) plugin: Name,
    pub(crate) limits: Limits,
    template: Template,
    lane: Lane,
    engine: HostEngine,
}

impl Callee {
    pub(crate) fn new(
        plugin: Name,
        limits: Limits,
        template: Template,
        engine: HostEngine,
    ) -> Self {
        Self {
            lane: Lane::new(&limits),
            plugin,
            limits,
            template,
            engine,
        }
    }

    /// Whether it exports `logs`.
    pub(crate) fn has_logs(&self) -> bool {
        self.template.has_logs()
    }

    /// Calls an export of `driver`.
    ///
    /// # Errors
    /// The guest's own, or the typed failure of the call.
    pub(crate) async fn driver<T: Send + 'static>(
        &self,
        verb: &'static str,
        scope: &Arc<Scope>,
        op: Option<&Op>,
        work: impl for<'a> FnOnce(
            &'a mut Store<CallState>,
            &'a driver::Guest,
        ) -> BoxFuture<'a, GuestResult<T>>
        + Send
        + 'static,
    ) -> Result<T, Error> {
        self.call(verb, scope, op, |store, instance, template| {
            Box::pin(async move {
                let guest = template.driver(&mut *store, &instance)?;
                work(store, &guest).await
            })
        })
        .await
    }

    /// Calls any export.
    ///
    /// # Errors
    /// The guest's own, or the typed failure of the call.
    pub(crate) async fn call<T, W>(
        &self,
        verb: &'static str,
        scope: &Arc<Scope>,
        op: Option<&Op>,
        work: W,
    ) -> Result<T, Error>
    where
        T: Send,
        W: for<'a> FnOnce(
                &'a mut Store<CallState>,
                Instance,
                &'a Template,
            ) -> BoxFuture<'a, GuestResult<T>>
            + Send,
    {
        let clock = scope.services.clock.clone();
        let _place = self
            .lane
            .enter(&self.plugin, &self.limits, clock.as_ref())
            .await?;
        let mut store = self.store(scope, op);
        let answered = tokio::select! {
            biased;
            result = self.run(&mut store, work) => Some(result),
            () = clock.sleep(Duration::from_millis(self.limits.deadline_ms)) => None,
        };
        let state = store.data();
        state.output.finish();
        let failed = || Failed {
            plugin: &self.plugin,
            verb,
            limits: &self.limits,
            memory_refused: state.memory.was_refused(),
            stderr: state.output.stderr_tail(),
        };
        match answered {
            Some(Ok(Ok(answer))) => Ok(answer),
            Some(Ok(Err(error))) => Err(from_guest::error(error)),
            Some(Err(error)) => Err(failed().explain(&error)),
            None => Err(failed().too_late()),
        }
        .inspect_err(|error| {
            tracing::debug!(plugin = %self.plugin, verb, kind = ?error.kind, code = error.code, "{error}");
        })
    }

    fn store(&self, scope: &Arc<Scope>, op: Option<&Op>) -> Store<CallState> {
        let state = CallState::new(
            scope.clone(),
            &self.limits,
            op.cloned(),
            self.engine.ticks(),
        );
        let mut store = Store::new(self.engine.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| context.data_mut().cpu.tick());
        store
    }

    async fn run<T, W>(&self, store: &mut Store<CallState>, work: W) -> GuestResult<T>
    where
        W: for<'a> FnOnce(
            &'a mut Store<CallState>,
            Instance,
            &'a Template,
        ) -> BoxFuture<'a, GuestResult<T>>,
    {
        let instance = self.template.instantiate(store).await?;
        work(store, instance, &self.template).await
    }
}
