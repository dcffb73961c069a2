//! A backend that is a component: [`Driver`] by calls into whatever generation is active.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use fleet_capability::{Frame, OutputOptions, Source, Stream};
use fleet_model::driver::{
    Creation, Description, Fingerprint, Handle, Listed, Observation, Workload,
};
use fleet_model::exec::{ExecSpec, ExecState, TerminalSize};
use fleet_model::stats::Usage;
use fleet_model::{Error, ErrorKind, ItemKey, Name, Op};
use futures::StreamExt;
use futures::future::BoxFuture;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::exports::fleet::backend::{driver, exec};
use crate::bindings::fleet::common::types as wit;
use crate::call::{Call, GuestResult, Place};
use crate::convert::{Intake, from_guest, to_guest, token};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::generation::PluginGeneration;
use crate::patience::Patience;
use crate::registry::Registry;
use crate::state::CallState;
use crate::template::Template;
use crate::terms::Terms;

/// How many handles one call of `recover` is about: with the largest handles, a tenth of the
/// memory a plugin has by default.
const RECOVER_AT_ONCE: usize = 100;

/// One backend, whatever code answers for it.
pub struct Backend {
    active: ArcSwap<PluginGeneration>,
    patience: Patience,
    registry: Arc<Registry>,
    file: String,
}

impl Backend {
    pub(crate) fn new(generation: PluginGeneration, registry: Arc<Registry>, file: String) -> Self {
        let clock = generation.scope.services.clock.clone();
        Self {
            patience: Patience::new(generation.manifest.name.clone(), clock),
            active: ArcSwap::from_pointee(generation),
            registry,
            file,
        }
    }

    /// The generation that a call which begins now belongs to.
    fn generation(&self) -> Arc<PluginGeneration> {
        self.active.load_full()
    }

    /// Has a call made when there is a place for it, unless the plugin is left alone with its item.
    async fn when_it_may<A, F: Future<Output = Result<A, Failure>>>(
        &self,
        generation: &PluginGeneration,
        item: Option<&ItemKey>,
        make: impl FnOnce(Place) -> F,
    ) -> Result<A, Error> {
        let enter = || generation.callee.enter(&generation.scope);
        let Some(item) = item else {
            let place = enter().await?;
            return Ok(make(place).await?);
        };
        // Asked before there is a place, so that nobody waits for nothing, and again when there is
        // one: the calls before it may have used the budget up.
        self.patience.check(item)?;
        let place = enter().await?;
        let attempt = self.patience.begin(item)?;
        let result = make(place).await;
        attempt.ended(&result);
        Ok(result?)
    }

    /// Calls an export of `driver` and reads its answer.
    async fn ask<T: Send + 'static, A>(
        &self,
        call: Call,
        work: impl for<'a> FnOnce(
            &'a mut Store<CallState>,
            &'a driver::Guest,
        ) -> BoxFuture<'a, GuestResult<T>>
        + Send
        + 'static,
        read: impl FnOnce(Intake<'_>, T) -> Result<A, Error> + Send,
    ) -> Result<A, Error> {
        let generation = self.generation();
        let item = call.item.clone();
        self.when_it_may(&generation, item.as_ref(), |place| async {
            let PluginGeneration { callee, scope, .. } = &*generation;
            let answer = callee.driver(place, scope, call, work).await?;
            read(scope.intake(), answer).map_err(Failure::answered)
        })
        .await
    }

    /// Calls an export that not every backend has, of a generation that has it.
    async fn ask_if<T, W>(
        &self,
        generation: &PluginGeneration,
        call: Call,
        work: W,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        W: for<'a> FnOnce(
                &'a mut Store<CallState>,
                Instance,
                &'a Template,
            ) -> BoxFuture<'a, GuestResult<T>>
            + Send,
    {
        let item = call.item.clone();
        self.when_it_may(generation, item.as_ref(), |place| async {
            let PluginGeneration { callee, scope, .. } = generation;
            callee.call(place, scope, call, work).await
        })
        .await
    }

    /// Calls an export of `exec`, of a generation that has it.
    async fn ask_exec<T: Send + 'static>(
        &self,
        call: Call,
        work: impl for<'a> FnOnce(
            &'a mut Store<CallState>,
            &'a exec::Guest,
        ) -> BoxFuture<'a, GuestResult<T>>
        + Send
        + 'static,
    ) -> Result<T, Error> {
        let generation = self.generation();
        if !generation.callee.template.has_exec() {
            return Err(missing(
                &generation,
                "no-exec",
                "runs no programs beside a workload's own",
            ));
        }
        self.ask_if(&generation, call, move |store, instance, template| {
            Box::pin(async move {
                let guest = template.exec(&mut *store, &instance)?;
                work(store, &guest).await
            })
        })
        .await
    }

    /// A call that changes something and gives back the new handle. What is not there any more
    /// needs no change: its handle stays.
    async fn change(
        &self,
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
        self.ask(
            Call::effect(op),
            move |store, guest| work(store, guest, guest_op, guest_handle),
            |_, handle| from_guest::handle(handle),
        )
        .await
    }
}

/// `not-found` is success where nothing was to be left.
fn gone_is_fine<T>(result: Result<T, Error>, instead: impl FnOnce() -> T) -> Result<T, Error> {
    match result {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(instead()),
        result => result,
    }
}

/// What a backend answers where it does not offer something.
fn missing(generation: &PluginGeneration, code: &str, what: &str) -> Error {
    let manifest = &generation.manifest;
    let message = format!(
        "the backend `{}` {} {what}",
        manifest.name, manifest.version
    );
    Error::unsupported(code, message).with("plugin", &manifest.name)
}

/// The output of a program beside a workload is bytes: a line that a plugin brings itself gets its line
/// feed, which its cursor counts.
fn as_bytes(source: Source) -> Source {
    let unbroken = |frame: Frame| match frame.stream {
        Stream::Stdout | Stream::Stderr if frame.complete => Frame {
            bytes: [&frame.bytes[..], b"\n"].concat().into(),
            complete: false,
            ..frame
        },
        _ => frame,
    };
    Source {
        output: source.output.map(move |frame| frame.map(unbroken)).boxed(),
        input: source.input,
    }
}

#[async_trait]
impl Driver for Backend {
    fn description(&self) -> Arc<Description> {
        self.generation().description.clone()
    }

    async fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let generation = self.generation();
        let mut answer = self
            .ask(
                Call::look("fingerprint"),
                |store, guest| Box::pin(guest.call_fingerprint(store)),
                |intake, found| Ok(from_guest::fingerprint(intake, found)),
            )
            .await;
        if let Ok(found) = &mut answer {
            let fixed = generation.callee.template.offers();
            found.attributes.retain(|name, _| !fixed.contains_key(name));
        }
        self.registry.fingerprint(&self.file, &answer);
        answer
    }

    fn check_secrets(&self, op: &Op, names: &BTreeSet<Name>) -> Result<(), Error> {
        let generation = self.generation();
        names
            .iter()
            .try_for_each(|name| generation.scope.check_secret(op, name))
    }

    async fn create(&self, op: &Op, workload: &Workload) -> Result<Creation, Error> {
        let call = Call {
            terms: Some(Terms::of(workload)),
            ..Call::effect(op)
        };
        let (guest_op, workload) = (to_guest::op(op), to_guest::workload(workload));
        self.ask(
            call,
            move |store, guest| {
                Box::pin(async move { guest.call_create(store, &guest_op, &workload).await })
            },
            from_guest::creation,
        )
        .await
    }

    async fn start(&self, op: &Op, handle: &Handle) -> Result<Handle, Error> {
        self.change(op, handle, |store, guest, op, handle| {
            Box::pin(async move { guest.call_start(store, &op, &handle).await })
        })
        .await
    }

    async fn stop(&self, op: &Op, handle: &Handle, signal: &str) -> Result<Handle, Error> {
        let signal = signal.to_owned();
        let stopped = self
            .change(op, handle, |store, guest, op, handle| {
                Box::pin(async move { guest.call_stop(store, &op, &handle, &signal).await })
            })
            .await;
        gone_is_fine(stopped, || handle.clone())
    }

    async fn kill(&self, op: &Op, handle: &Handle) -> Result<Handle, Error> {
        let killed = self
            .change(op, handle, |store, guest, op, handle| {
                Box::pin(async move { guest.call_kill(store, &op, &handle).await })
            })
            .await;
        gone_is_fine(killed, || handle.clone())
    }

    async fn destroy(&self, op: &Op, handle: &Handle) -> Result<(), Error> {
        let (guest_op, guest_handle) = (to_guest::op(op), to_guest::handle(handle));
        let destroyed = self
            .ask(
                Call::effect(op),
                move |store, guest| {
                    Box::pin(
                        async move { guest.call_destroy(store, &guest_op, &guest_handle).await },
                    )
                },
                |_, ()| Ok(()),
            )
            .await;
        gone_is_fine(destroyed, || ())
    }

    async fn inspect(&self, item: &ItemKey, handle: &Handle) -> Result<Observation, Error> {
        let handle = to_guest::handle(handle);
        self.ask(
            Call::look_at("inspect", item),
            move |store, guest| Box::pin(async move { guest.call_inspect(store, &handle).await }),
            |intake, seen| Ok(from_guest::observation(intake, seen)),
        )
        .await
    }

    async fn recover(&self, handles: &[Handle]) -> Result<Vec<Observation>, Error> {
        let mut observations = Vec::with_capacity(handles.len());
        for some in handles.chunks(RECOVER_AT_ONCE) {
            let asked = some.len();
            let handles: Vec<_> = some.iter().map(to_guest::handle).collect();
            let answers = self.ask(
                Call::look("recover"),
                move |store, guest| {
                    Box::pin(async move { guest.call_recover(store, &handles).await })
                },
                |intake, answers| from_guest::recovered(intake, asked, answers),
            );
            observations.extend(answers.await?);
        }
        Ok(observations)
    }

    async fn list(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Listed>, Option<String>), Error> {
        let page = to_guest::page(cursor, limit);
        self.ask(
            Call::look("list"),
            move |store, guest| Box::pin(async move { guest.call_list(store, &page).await }),
            |intake, listing| from_guest::listing(intake, limit, listing),
        )
        .await
    }

    async fn watch(&self, item: &ItemKey, handle: &Handle) -> Result<Option<Source>, Error> {
        let handle = to_guest::handle(handle);
        self.ask(
            Call::look_at("watch", item),
            move |store, guest| {
                Box::pin(async move {
                    let answer = guest.call_watch(&mut *store, &handle).await?;
                    // Out of the table before the store is dropped with all that is in it.
                    Ok(answer.map(|source| source.map(|source| store.data_mut().take(source))))
                })
            },
            |_, taken: Option<Result<Source, Error>>| taken.transpose(),
        )
        .await
    }

    async fn logs(
        &self,
        item: &ItemKey,
        handle: &Handle,
        options: &OutputOptions,
    ) -> Result<Source, Error> {
        let generation = self.generation();
        if !generation.callee.template.has_logs() {
            return Err(missing(&generation, "no-logs", "offers no logs"));
        }
        let (handle, options) = (to_guest::handle(handle), to_guest::log_options(options));
        let call = Call::look_at("logs", item);
        self.ask_if(&generation, call, move |store, instance, template| {
            Box::pin(async move {
                let logs = template.logs(&mut *store, &instance)?;
                let answer = logs.call_open(&mut *store, &handle, &options).await?;
                Ok(answer.map(|source| store.data_mut().take(source)))
            })
        })
        .await?
    }

    async fn send(&self, op: &Op, handle: &Handle, bytes: Bytes) -> Result<(), Error> {
        let generation = self.generation();
        if !generation.callee.template.has_input() {
            return Err(missing(&generation, "no-input", "takes no commands"));
        }
        let (guest_op, handle) = (to_guest::op(op), to_guest::handle(handle));
        self.ask_if(
            &generation,
            Call::effect(op),
            move |store, instance, template| {
                Box::pin(async move {
                    let input = template.input(&mut *store, &instance)?;
                    input
                        .call_send(&mut *store, &guest_op, &handle, &bytes)
                        .await
                })
            },
        )
        .await
    }

    async fn signal(&self, op: &Op, handle: &Handle, signal: &str) -> Result<(), Error> {
        let generation = self.generation();
        if !generation.callee.template.has_signals() {
            return Err(missing(&generation, "no-signals", "sends no signals"));
        }
        let (guest_op, handle) = (to_guest::op(op), to_guest::handle(handle));
        let signal = signal.to_owned();
        self.ask_if(
            &generation,
            Call::effect(op),
            move |store, instance, template| {
                Box::pin(async move {
                    let signals = template.signals(&mut *store, &instance)?;
                    signals
                        .call_send(&mut *store, &guest_op, &handle, &signal)
                        .await
                })
            },
        )
        .await
    }

    async fn usage(&self, item: &ItemKey, handle: &Handle) -> Result<Usage, Error> {
        let generation = self.generation();
        if !generation.callee.template.has_stats() {
            let what = "does not tell what a workload uses";
            return Err(missing(&generation, "no-stats", what));
        }
        let handle = to_guest::handle(handle);
        let call = Call::look_at("stats", item);
        self.ask_if(&generation, call, move |store, instance, template| {
            Box::pin(async move {
                let stats = template.stats(&mut *store, &instance)?;
                stats.call_take(&mut *store, &handle).await
            })
        })
        .await
        .map(|sample| from_guest::usage(&sample))
    }

    async fn exec(&self, op: &Op, handle: &Handle, spec: &ExecSpec) -> Result<String, Error> {
        let (guest_op, handle) = (to_guest::op(op), to_guest::handle(handle));
        let request = to_guest::exec(spec);
        let known = self
            .ask_exec(Call::effect(op), move |store, guest| {
                Box::pin(async move { guest.call_start(store, &guest_op, &handle, &request).await })
            })
            .await?;
        token(known, "the name of an exec")
    }

    async fn open_exec(
        &self,
        item: &ItemKey,
        handle: &Handle,
        exec: &str,
        after: u64,
    ) -> Result<Source, Error> {
        let (handle, exec) = (to_guest::handle(handle), exec.to_owned());
        let cursor = (after > 0).then(|| after.to_string());
        self.ask_exec(Call::look_at("open", item), move |store, guest| {
            Box::pin(async move {
                let answer = guest
                    .call_open(&mut *store, &handle, &exec, cursor.as_deref())
                    .await?;
                Ok(answer.map(|source| store.data_mut().take(source)))
            })
        })
        .await?
        .map(as_bytes)
    }

    async fn inspect_exec(
        &self,
        item: &ItemKey,
        handle: &Handle,
        exec: &str,
    ) -> Result<ExecState, Error> {
        let (handle, exec) = (to_guest::handle(handle), exec.to_owned());
        let state = self
            .ask_exec(Call::look_at("inspect", item), move |store, guest| {
                Box::pin(async move { guest.call_inspect(store, &handle, &exec).await })
            })
            .await?;
        Ok(from_guest::exec_state(
            self.generation().scope.intake(),
            state,
        ))
    }

    async fn resize_exec(
        &self,
        item: &ItemKey,
        handle: &Handle,
        exec: &str,
        size: TerminalSize,
    ) -> Result<(), Error> {
        let (handle, exec) = (to_guest::handle(handle), exec.to_owned());
        let size = to_guest::size(size);
        self.ask_exec(Call::look_at("resize", item), move |store, guest| {
            Box::pin(async move { guest.call_resize(store, &handle, &exec, size).await })
        })
        .await
    }

    async fn signal_exec(
        &self,
        op: &Op,
        handle: &Handle,
        exec: &str,
        signal: &str,
    ) -> Result<(), Error> {
        let (guest_op, handle) = (to_guest::op(op), to_guest::handle(handle));
        let (exec, signal) = (exec.to_owned(), signal.to_owned());
        self.ask_exec(Call::effect(op), move |store, guest| {
            Box::pin(async move {
                guest
                    .call_signal(store, &guest_op, &handle, &exec, &signal)
                    .await
            })
        })
        .await
    }

    async fn remove_exec(&self, op: &Op, handle: &Handle, exec: &str) -> Result<(), Error> {
        let (guest_op, handle) = (to_guest::op(op), to_guest::handle(handle));
        let exec = exec.to_owned();
        let removed = self
            .ask_exec(Call::effect(op), move |store, guest| {
                Box::pin(async move { guest.call_remove(store, &guest_op, &handle, &exec).await })
            })
            .await;
        gone_is_fine(removed, || ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_of_a_program_become_the_bytes_it_wrote() {
        let frame = |stream, text: &'static str, complete| Frame {
            stream,
            time_us: Some(1),
            bytes: Bytes::from(text),
            complete,
            cursor: Some(text.to_owned()),
        };
        let frames = [
            frame(Stream::Stdout, "line", true),
            frame(Stream::Stderr, "", true),
            frame(Stream::Stdout, "part\n", false),
            frame(Stream::Event, "", true),
        ];
        let source = Source {
            output: futures::stream::iter(frames.map(Ok)).boxed(),
            input: None,
        };
        let read: Vec<_> = as_bytes(source)
            .output
            .map(|frame| frame.unwrap().bytes)
            .collect()
            .await;
        assert_eq!(read, ["line\n", "\n", "part\n", ""]);
    }
}
