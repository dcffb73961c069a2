//! Who answers a call, and what happens on its way there: a place in the lane, the patience that is
//! left, the door that may close.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use fleet_model::driver::Handle;
use fleet_model::{Error, ItemKey, Op};
use futures::future::BoxFuture;
use wasmtime::Store;
use wasmtime::component::Instance;

use super::Backend;
use crate::bindings::exports::fleet::backend::{driver, exec};
use crate::bindings::fleet::common::types as wit;
use crate::call::{Call, GuestResult, Place};
use crate::convert::{Intake, from_guest, to_guest};
use crate::failure::{Blame, Failure};
use crate::generation::{PluginGeneration, Serving};
use crate::patience::Patience;
use crate::registry::Registry;
use crate::state::CallState;
use crate::template::Template;

/// What decides which code answers a call, and whose failure it would be.
#[derive(Clone, Copy)]
struct About<'a> {
    item: Option<&'a ItemKey>,
    /// The schema of the handle it is about.
    schema: Option<u32>,
}

/// An interface that not every backend has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Offer {
    Logs,
    Input,
    Exec,
    Stats,
    Signals,
}

impl Offer {
    fn is_in(self, template: &Template) -> bool {
        match self {
            Self::Logs => template.has_logs(),
            Self::Input => template.has_input(),
            Self::Exec => template.has_exec(),
            Self::Stats => template.has_stats(),
            Self::Signals => template.has_signals(),
        }
    }

    /// What a backend answers that has it not.
    fn missing(self, generation: &PluginGeneration) -> Error {
        let (code, what) = match self {
            Self::Logs => ("no-logs", "offers no logs"),
            Self::Input => ("no-input", "takes no commands"),
            Self::Exec => ("no-exec", "runs no programs beside a workload's own"),
            Self::Stats => ("no-stats", "does not tell what a workload uses"),
            Self::Signals => ("no-signals", "sends no signals"),
        };
        let manifest = &generation.manifest;
        let message = format!(
            "the backend `{}` {} {what}",
            manifest.name, manifest.version
        );
        Error::unsupported(code, message).with("plugin", &manifest.name)
    }
}

/// Nothing that is loaded reads it.
fn unread(active: &PluginGeneration, schema: u32) -> Error {
    let PluginGeneration {
        manifest,
        description,
        ..
    } = active;
    let message = format!(
        "no code of `{}` is loaded that reads handles of schema {schema}: version {} reads {:?}, and what read it could not \
         be loaded at the start (the log says why). Start the host again when that is mended, or swap in a version that \
         reads it",
        manifest.name, manifest.version, description.reads
    );
    Error::unavailable("handle-schema", message).with("plugin", &manifest.name)
}

impl Backend {
    pub(crate) fn new(serving: Arc<Serving>, registry: Arc<Registry>, file: String) -> Self {
        let generation = &serving.generation;
        let clock = generation.scope.services.clock.clone();
        Self {
            patience: Patience::new(generation.manifest.name.clone(), clock),
            active: ArcSwap::new(serving),
            kept: ArcSwap::default(),
            registry,
            file: ArcSwap::from_pointee(file),
        }
    }

    /// What serves calls that begin now.
    pub(crate) fn serving(&self) -> Arc<Serving> {
        self.active.load_full()
    }

    /// Puts other code in the place of what serves, whose door is closed then. Returns it, and how
    /// many calls it has under way. Nothing is asked beside it whose handles it reads all itself.
    pub(crate) fn publish(&self, next: Arc<Serving>) -> (Arc<Serving>, usize) {
        let old = self.active.swap(next.clone());
        let is_needed = |kept: &&Arc<Serving>| {
            let mut reads = kept.generation.description.reads.iter();
            reads.any(|schema| !next.generation.reads(*schema))
        };
        let kept = self.kept();
        self.keep(kept.iter().filter(is_needed).cloned().collect());
        let under_way = old.gate.close();
        self.patience.forget();
        (old, under_way)
    }

    /// The items that what serves has failed since its last answer for them.
    pub(crate) fn failing(&self) -> BTreeSet<ItemKey> {
        self.patience.failing()
    }

    /// Other code that is asked about handles which the active code does not read.
    pub(crate) fn kept(&self) -> Arc<Vec<Arc<Serving>>> {
        self.kept.load_full()
    }

    /// From now on this is the other code. What is not among it any more takes no calls.
    pub(crate) fn keep(&self, kept: Vec<Arc<Serving>>) {
        let before = self.kept.swap(Arc::new(kept));
        let now = self.kept.load();
        let gone = before
            .iter()
            .filter(|was| !now.iter().any(|is| Arc::ptr_eq(was, is)));
        for serving in gone {
            serving.gate.close();
        }
    }

    /// It is in another file now.
    pub(crate) fn set_file(&self, file: &str) {
        self.file.store(Arc::new(file.to_owned()));
    }

    /// The code that a call about a handle of this schema belongs to, if it begins now. Code that does
    /// not read it is never asked: what it said would be taken for the truth.
    fn serving_for(&self, schema: Option<u32>) -> Result<Arc<Serving>, Error> {
        loop {
            let active = self.active.load_full();
            let Some(schema) = schema.filter(|schema| !active.generation.reads(*schema)) else {
                return Ok(active);
            };
            let kept = self.kept.load();
            let reads = kept.iter().find(|serving| serving.generation.reads(schema));
            if let Some(reads) = reads {
                return Ok(reads.clone());
            }
            // What serves now may have come between the two looks.
            if Arc::ptr_eq(&active, &self.active.load()) {
                return Err(unread(&active.generation, schema));
            }
        }
    }

    /// Has a call made when there is a place for it, unless the plugin is left alone with its item.
    /// Where newer code takes over before it has begun, or while it takes too long, that is asked.
    async fn have<A, F>(
        &self,
        about: About<'_>,
        make: impl Fn(Arc<Serving>, Place) -> F + Send,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<A, Failure>> + Send,
    {
        loop {
            let serving = self.serving_for(about.schema)?;
            // Asked before there is a place, so that nobody waits for nothing, and again when there
            // is one: the calls before it may have used the budget up.
            if let Some(item) = about.item {
                self.patience.check(item)?;
            }
            let generation = &serving.generation;
            let place = tokio::select! {
                biased;
                place = generation.callee.enter(&generation.scope) => place?,
                () = serving.gate.closing() => continue,
            };
            let attempt = about
                .item
                .map(|item| self.patience.begin(item))
                .transpose()?;
            let Some(_inside) = serving.gate.enter() else {
                continue;
            };
            let result = make(serving.clone(), place).await;
            if let Err(failure) = &result {
                if failure.blame == Blame::Moved {
                    serving.gate.moved_on();
                    continue;
                }
                if let Some(trial) = &serving.trial {
                    trial.failed(about.item, failure);
                }
            }
            if let Some(attempt) = attempt {
                attempt.ended(&result);
            }
            return Ok(result?);
        }
    }

    /// Calls an export of `driver` and reads its answer.
    pub(super) async fn ask<T: Send + 'static, A: Send>(
        &self,
        call: Call,
        schema: Option<u32>,
        work: impl for<'a> FnOnce(
            &'a mut Store<CallState>,
            &'a driver::Guest,
        ) -> BoxFuture<'a, GuestResult<T>>
        + Clone
        + Send
        + Sync
        + 'static,
        read: impl Fn(Intake<'_>, T) -> Result<A, Error> + Send + Sync,
    ) -> Result<A, Error> {
        let item = call.item.clone();
        let about = About {
            item: item.as_ref(),
            schema,
        };
        let read = &read;
        self.have(about, move |serving, place| {
            let (call, work) = (call.clone(), work.clone());
            async move {
                let PluginGeneration { callee, scope, .. } = &*serving.generation;
                let answer = callee
                    .driver(place, &serving.gate, scope, call, work)
                    .await?;
                read(scope.intake(), answer).map_err(Failure::answered)
            }
        })
        .await
    }

    /// Calls an export that not every backend has.
    pub(super) async fn ask_if<T, W>(
        &self,
        offer: Offer,
        call: Call,
        handle: &Handle,
        work: W,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        W: for<'a> FnOnce(
                &'a mut Store<CallState>,
                Instance,
                &'a Template,
            ) -> BoxFuture<'a, GuestResult<T>>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let item = call.item.clone();
        let about = About {
            item: item.as_ref(),
            schema: Some(handle.schema),
        };
        self.have(about, move |serving, place| {
            let (call, work) = (call.clone(), work.clone());
            async move {
                let PluginGeneration { callee, scope, .. } = &*serving.generation;
                if !offer.is_in(&callee.template) {
                    return Err(Failure::answered(offer.missing(&serving.generation)));
                }
                callee.call(place, &serving.gate, scope, call, work).await
            }
        })
        .await
    }

    /// Calls an export of `exec`.
    pub(super) async fn ask_exec<T: Send + 'static>(
        &self,
        call: Call,
        handle: &Handle,
        work: impl for<'a> FnOnce(
            &'a mut Store<CallState>,
            &'a exec::Guest,
        ) -> BoxFuture<'a, GuestResult<T>>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> Result<T, Error> {
        self.ask_if(
            Offer::Exec,
            call,
            handle,
            move |store, instance, template| {
                Box::pin(async move {
                    let guest = template.exec(&mut *store, &instance)?;
                    work(store, &guest).await
                })
            },
        )
        .await
    }

    /// A call that changes something and gives back the new handle. What is not there any more
    /// needs no change: its handle stays.
    pub(super) async fn change(
        &self,
        op: &Op,
        handle: &Handle,
        work: impl for<'a> FnOnce(
            &'a mut Store<CallState>,
            &'a driver::Guest,
            wit::Op,
            wit::Handle,
        ) -> BoxFuture<'a, GuestResult<wit::Handle>>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> Result<Handle, Error> {
        let (guest_op, guest_handle) = (to_guest::op(op), to_guest::handle(handle));
        self.ask(
            Call::effect(op),
            Some(handle.schema),
            move |store, guest| work(store, guest, guest_op, guest_handle),
            |_, handle| from_guest::handle(handle),
        )
        .await
    }
}
