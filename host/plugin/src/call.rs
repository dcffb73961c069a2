//! One call: a fresh instance, under limits, with exactly one answer.
//!
//! The wall clock is watched from outside the store, so it also ends a call whose guest is parked
//! in an import. Whatever ends a call, its store is dropped and nothing of it is seen again. A call
//! that newer code is to answer ends when what the host has begun for it has ended: so the same op is
//! never under way twice.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::{Error, ItemKey, Name, Op};
use futures::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::exports::fleet::backend::driver;
use crate::bindings::fleet::common::types as wit;
use crate::convert::from_guest;
use crate::engine::HostEngine;
use crate::failure::{Failed, Failure};
use crate::gate::Gate;
use crate::lane::Lane;
use crate::manifest::Limits;
use crate::state::{CallState, Scope};
use crate::template::Template;
use crate::terms::Terms;
use crate::turn::Turns;

/// What a guest's export gives back: its own error is an answer too.
pub(crate) type GuestResult<T> = wasmtime::Result<Result<T, wit::Error>>;

/// A component that can be called.
pub(crate) struct Callee {
    pub(crate) plugin: Name,
    pub(crate) limits: Limits,
    pub(crate) template: Template,
    lane: Lane,
    turns: Arc<Turns>,
    engine: HostEngine,
}

/// What a call is about.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The export.
    pub(crate) verb: &'static str,
    /// On whose behalf, if that is one item.
    pub(crate) item: Option<ItemKey>,
    /// The effect it is to have, if any.
    pub(crate) op: Option<Op>,
    /// The terms of the workload it makes, if it makes one.
    pub(crate) terms: Option<Terms>,
}

/// What ended a call.
enum Ended<T> {
    Came(T),
    Late,
    Cut,
}

/// One of the places of a plugin's calls, until it is dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Call {
    /// One that changes nothing.
    pub(crate) fn look(verb: &'static str) -> Self {
        Self {
            verb,
            item: None,
            op: None,
            terms: None,
        }
    }

    /// One that changes nothing, about one item.
    pub(crate) fn look_at(verb: &'static str, item: &ItemKey) -> Self {
        Self {
            item: Some(item.clone()),
            ..Self::look(verb)
        }
    }

    /// One that has an effect.
    pub(crate) fn effect(op: &Op) -> Self {
        Self {
            op: Some(op.clone()),
            ..Self::look_at(op.verb.as_str(), &op.item)
        }
    }
}

impl Callee {
    pub(crate) fn new(
        plugin: Name,
        limits: Limits,
        template: Template,
        engine: HostEngine,
        turns: Turns,
    ) -> Self {
        Self {
            lane: Lane::new(&limits),
            turns: Arc::new(turns),
            plugin,
            limits,
            template,
            engine,
        }
    }

    /// A place for one call, as soon as there is one.
    ///
    /// # Errors
    /// `exhausted` (`queue`).
    pub(crate) async fn enter(&self, scope: &Scope) -> Result<Place, Failure> {
        let clock = scope.services.clock.as_ref();
        let permit = self.lane.enter(&self.plugin, &self.limits, clock).await;
        permit
            .map(|permit| Place { _permit: permit })
            .map_err(Failure::not_begun)
    }

    /// Calls an export of `driver`.
    ///
    /// # Errors
    /// The guest's own, or the typed failure of the call.
    pub(crate) async fn driver<T: Send + 'static>(
        &self,
        place: Place,
        gate: &Gate,
        scope: &Arc<Scope>,
        call: Call,
        work: impl for<'a> FnOnce(
            &'a mut Store<CallState>,
            &'a driver::Guest,
        ) -> BoxFuture<'a, GuestResult<T>>
        + Send
        + 'static,
    ) -> Result<T, Failure> {
        self.call(place, gate, scope, call, |store, instance, template| {
            Box::pin(async move {
                let guest = template.driver(&mut *store, &instance)?;
                work(store, &guest).await
            })
        })
        .await
    }

    /// Calls any export. The place is given back when the call is over.
    ///
    /// # Errors
    /// The guest's own, the typed failure of the call, or that newer code is to be asked.
    pub(crate) async fn call<T, W>(
        &self,
        _place: Place,
        gate: &Gate,
        scope: &Arc<Scope>,
        call: Call,
        work: W,
    ) -> Result<T, Failure>
    where
        T: Send,
        W: for<'a> FnOnce(
                &'a mut Store<CallState>,
                Instance,
                &'a Template,
            ) -> BoxFuture<'a, GuestResult<T>>
            + Send,
    {
        let verb = call.verb;
        let mut store = self.store(scope, call);
        let deadline = Duration::from_millis(self.limits.deadline_ms);
        let mut deadline = scope.services.clock.sleep(deadline);
        let ended = tokio::select! {
            biased;
            result = self.run(&mut store, work) => Ended::Came(result),
            () = &mut deadline => Ended::Late,
            () = gate.cutting() => Ended::Cut,
        };
        store.data().output.finish();
        let failed = |store: &Store<CallState>| self.failed(verb, scope, store.data());
        match ended {
            Ended::Came(Ok(Ok(answer))) => Ok(answer),
            Ended::Came(Ok(Err(error))) => {
                Err(Failure::answered(from_guest::error(scope.intake(), error)))
            }
            Ended::Came(Err(error)) => Err(failed(&store).explain(&error)),
            Ended::Late => Err(failed(&store).too_late()),
            Ended::Cut => {
                let (sent, failed) = (store.data().sent.clone(), failed(&store));
                drop(store);
                tokio::select! {
                    biased;
                    () = sent.ended() => Err(Failure::moved()),
                    () = &mut deadline => Err(failed.too_late()),
                }
            }
        }
        .inspect_err(|Failure { error, .. }| {
            tracing::debug!(plugin = %self.plugin, verb, kind = ?error.kind, code = error.code, "{error}");
        })
    }

    /// What is known of a call that failed.
    fn failed<'a>(&'a self, verb: &'static str, scope: &'a Scope, state: &CallState) -> Failed<'a> {
        Failed {
            plugin: &self.plugin,
            verb,
            limits: &self.limits,
            memory_refused: state.memory.was_refused(),
            stderr: state.output.stderr_tail(),
            redactor: &scope.services.redactor,
        }
    }

    fn store(&self, scope: &Arc<Scope>, call: Call) -> Store<CallState> {
        let ticks = self.engine.ticks();
        let mut state = CallState::new(scope.clone(), &self.limits, ticks, self.turns.clone());
        (state.op, state.terms) = (call.op, call.terms);
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

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}
