//! A backend that is a component: [`Driver`] by calls into whatever generation is active.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use fleet_capability::{OutputOptions, Source};
use fleet_model::driver::{
    Creation, Description, Fingerprint, Handle, Listed, Observation, Workload,
};
use fleet_model::{Error, ErrorKind, Op};
use futures::future::BoxFuture;
use wasmtime::Store;

use crate::bindings::exports::fleet::backend::driver;
use crate::bindings::fleet::common::types as wit;
use crate::call::GuestResult;
use crate::convert::{from_guest, to_guest};
use crate::driver::Driver;
use crate::generation::PluginGeneration;
use crate::registry::Registry;
use crate::state::CallState;

/// How many handles one call of `recover` is about: with the largest handles, a tenth of the
/// memory a plugin has by default.
const RECOVER_AT_ONCE: usize = 100;

/// One backend, whatever code answers for it.
pub struct Backend {
    active: ArcSwap<PluginGeneration>,
    registry: Arc<Registry>,
    file: String,
}

impl Backend {
    pub(crate) fn new(generation: PluginGeneration, registry: Arc<Registry>, file: String) -> Self {
        Self {
            active: ArcSwap::from_pointee(generation),
            registry,
            file,
        }
    }

    /// The generation that a call which begins now belongs to.
    fn generation(&self) -> Arc<PluginGeneration> {
        self.active.load_full()
    }

    /// Calls `driver` on the active generation.
    async fn call<T: Send + 'static>(
        &self,
        verb: &'static str,
        op: Option<&Op>,
        work: impl for<'a> FnOnce(
            &'a mut Store<CallState>,
            &'a driver::Guest,
        ) -> BoxFuture<'a, GuestResult<T>>
        + Send
        + 'static,
    ) -> Result<T, Error> {
        let generation = self.generation();
        generation
            .callee
            .driver(verb, &generation.scope, op, work)
            .await
    }

    /// A call that changes something and gives back the new handle. What is not there any more
    /// needs no change: its handle stays.
    async fn change(
        &self,
        verb: &'static str,
        op: &Op,
        handle: &Handle,
        work: impl for<'a> FnOnce(
            &'a mut Store<CallState>,
            &'a driver::Guest,
            wit::Op,
            wit::Handle,
        ) -> BoxFuture<'a, GuestResult<wit::Handle>>
        + Send
        + 'static,
    ) -> Result<Handle, Error> {
        let (guest_op, guest_handle) = (to_guest::op(op), to_guest::handle(handle));
        self.call(verb, Some(op), move |store, guest| {
            work(store, guest, guest_op, guest_handle)
        })
        .await
        .and_then(from_guest::handle)
    }
}

/// `not-found` is success where nothing was to be left.
fn gone_is_fine<T>(result: Result<T, Error>, instead: impl FnOnce() -> T) -> Result<T, Error> {
    match result {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(instead()),
        result => result,
    }
}

#[async_trait]
impl Driver for Backend {
    fn description(&self) -> Arc<Description> {
        self.generation().description.clone()
    }

    async fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let answer = self
            .call("fingerprint", None, |store, guest| {
                Box::pin(guest.call_fingerprint(store))
            })
            .await;
        let answer = answer.map(from_guest::fingerprint);
        self.registry.fingerprint(&self.file, &answer);
        answer
    }

    async fn create(&self, op: &Op, workload: &Workload) -> Result<Creation, Error> {
        let (guest_op, workload) = (to_guest::op(op), to_guest::workload(workload));
        self.call("create", Some(op), move |store, guest| {
            Box::pin(async move { guest.call_create(store, &guest_op, &workload).await })
        })
        .await
        .and_then(from_guest::creation)
    }

    async fn start(&self, op: &Op, handle: &Handle) -> Result<Handle, Error> {
        self.change("start", op, handle, |store, guest, op, handle| {
            Box::pin(async move { guest.call_start(store, &op, &handle).await })
        })
        .await
    }

    async fn stop(&self, op: &Op, handle: &Handle, signal: &str) -> Result<Handle, Error> {
        let signal = signal.to_owned();
        let stopped = self
            .change("stop", op, handle, |store, guest, op, handle| {
                Box::pin(async move { guest.call_stop(store, &op, &handle, &signal).await })
            })
            .await;
        gone_is_fine(stopped, || handle.clone())
    }

    async fn kill(&self, op: &Op, handle: &Handle) -> Result<Handle, Error> {
        let killed = self
            .change("kill", op, handle, |store, guest, op, handle| {
                Box::pin(async move { guest.call_kill(store, &op, &handle).await })
            })
            .await;
        gone_is_fine(killed, || handle.clone())
    }

    async fn destroy(&self, op: &Op, handle: &Handle) -> Result<(), Error> {
        let (guest_op, guest_handle) = (to_guest::op(op), to_guest::handle(handle));
        let destroyed = self
            .call("destroy", Some(op), move |store, guest| {
                Box::pin(async move { guest.call_destroy(store, &guest_op, &guest_handle).await })
            })
            .await;
        gone_is_fine(destroyed, || ())
    }

    async fn inspect(&self, handle: &Handle) -> Result<Observation, Error> {
        let handle = to_guest::handle(handle);
        self.call("inspect", None, move |store, guest| {
            Box::pin(async move { guest.call_inspect(store, &handle).await })
        })
        .await
        .map(from_guest::observation)
    }

    async fn recover(&self, handles: &[Handle]) -> Result<Vec<Observation>, Error> {
        let mut observations = Vec::with_capacity(handles.len());
        for some in handles.chunks(RECOVER_AT_ONCE) {
            let asked = some.len();
            let handles: Vec<_> = some.iter().map(to_guest::handle).collect();
            let answers = self
                .call("recover", None, move |store, guest| {
                    Box::pin(async move { guest.call_recover(store, &handles).await })
                })
                .await?;
            observations.extend(from_guest::recovered(asked, answers)?);
        }
        Ok(observations)
    }

    async fn list(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Listed>, Option<String>), Error> {
        let page = to_guest::page(cursor, limit);
        self.call("list", None, move |store, guest| {
            Box::pin(async move { guest.call_list(store, &page).await })
        })
        .await
        .and_then(|listing| from_guest::listing(limit, listing))
    }

    async fn watch(&self, handle: &Handle) -> Result<Option<Source>, Error> {
        let handle = to_guest::handle(handle);
        self.call("watch", None, move |store, guest| {
            Box::pin(async move {
                let answer = guest.call_watch(&mut *store, &handle).await?;
                // Out of the table before the store is dropped with all that is in it.
                Ok(answer.map(|source| source.map(|source| store.data_mut().take(source))))
            })
        })
        .await?
        .transpose()
    }

    async fn logs(&self, handle: &Handle, options: &OutputOptions) -> Result<Source, Error> {
        let generation = self.generation();
        if !generation.callee.has_logs() {
            return Err(Error::unsupported(
                "no-logs",
                format!(
                    "the backend `{}` {} offers no logs",
                    generation.manifest.name, generation.manifest.version
                ),
            ));
        }
        let (handle, options) = (to_guest::handle(handle), to_guest::log_options(options));
        generation
            .callee
            .call(
                "logs",
                &generation.scope,
                None,
                move |store, instance, template| {
                    Box::pin(async move {
                        let logs = template.logs(&mut *store, &instance)?;
                        let answer = logs.call_open(&mut *store, &handle, &options).await?;
                        Ok(answer.map(|source| store.data_mut().take(source)))
                    })
                },
            )
            .await?
    }
}
