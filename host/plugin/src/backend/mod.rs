//! A backend that is a component: [`Driver`] by calls into whatever generation is active.

mod ask;

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

use crate::call::Call;
use crate::convert::{from_guest, to_guest, token};
use crate::driver::Driver;
use crate::generation::Serving;
use crate::patience::Patience;
use crate::registry::Registry;
use crate::terms::Terms;
use ask::Offer;

/// How many handles one call of `recover` is about: with the largest handles, a tenth of the
/// memory a plugin has by default.
pub(crate) const RECOVER_AT_ONCE: usize = 100;

/// One backend, whatever code answers for it.
pub struct Backend {
    active: ArcSwap<Serving>,
    /// Other code that is still asked about handles which the active code does not read.
    kept: ArcSwap<Vec<Arc<Serving>>>,
    patience: Patience,
    registry: Arc<Registry>,
    file: ArcSwap<String>,
}

/// `not-found` is success where nothing was to be left.
fn gone_is_fine<T>(result: Result<T, Error>, instead: impl FnOnce() -> T) -> Result<T, Error> {
    match result {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(instead()),
        result => result,
    }
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
        self.serving().generation.description.clone()
    }

    async fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let asked = self.serving();
        let mut answer = self
            .ask(
                Call::look("fingerprint"),
                None,
                |store, guest| Box::pin(guest.call_fingerprint(store)),
                |intake, found| Ok(from_guest::fingerprint(intake, found)),
            )
            .await;
        if let Ok(found) = &mut answer {
            asked.generation.callee.template.keep_own_facts(found);
        }
        // What other code said of itself is not this one's.
        if Arc::ptr_eq(&asked, &self.active.load()) {
            self.registry.fingerprint(&self.file.load(), &answer);
        }
        answer
    }

    fn check_secrets(&self, op: &Op, names: &BTreeSet<Name>) -> Result<(), Error> {
        let serving = self.serving();
        names
            .iter()
            .try_for_each(|name| serving.generation.scope.check_secret(op, name))
    }

    async fn create(&self, op: &Op, workload: &Workload) -> Result<Creation, Error> {
        let call = Call {
            terms: Some(Terms::of(workload)),
            ..Call::effect(op)
        };
        let asked = Arc::new((to_guest::op(op), to_guest::workload(workload)));
        self.ask(
            call,
            None,
            move |store, guest| {
                Box::pin(async move { guest.call_create(store, &asked.0, &asked.1).await })
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
                Some(handle.schema),
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
        let schema = Some(handle.schema);
        let handle = to_guest::handle(handle);
        self.ask(
            Call::look_at("inspect", item),
            schema,
            move |store, guest| Box::pin(async move { guest.call_inspect(store, &handle).await }),
            |intake, seen| Ok(from_guest::observation(intake, seen)),
        )
        .await
    }

    async fn recover(&self, handles: &[Handle]) -> Result<Vec<Observation>, Error> {
        let mut observations = Vec::with_capacity(handles.len());
        // Handles of one schema are for the same code.
        let alike = handles.chunk_by(|a, b| a.schema == b.schema);
        for some in alike.flat_map(|alike| alike.chunks(RECOVER_AT_ONCE)) {
            let asked = some.len();
            let schema = some.first().map(|handle| handle.schema);
            let handles: Arc<[_]> = some.iter().map(to_guest::handle).collect();
            let answers = self.ask(
                Call::look("recover"),
                schema,
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
            None,
            move |store, guest| Box::pin(async move { guest.call_list(store, &page).await }),
            |intake, listing| from_guest::listing(intake, limit, listing),
        )
        .await
    }

    async fn watch(&self, item: &ItemKey, handle: &Handle) -> Result<Option<Source>, Error> {
        let schema = Some(handle.schema);
        let handle = to_guest::handle(handle);
        self.ask(
            Call::look_at("watch", item),
            schema,
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
        let (told, options) = (to_guest::handle(handle), to_guest::log_options(options));
        let call = Call::look_at("logs", item);
        self.ask_if(
            Offer::Logs,
            call,
            handle,
            move |store, instance, template| {
                Box::pin(async move {
                    let logs = template.logs(&mut *store, &instance)?;
                    let answer = logs.call_open(&mut *store, &told, &options).await?;
                    Ok(answer.map(|source| store.data_mut().take(source)))
                })
            },
        )
        .await?
    }

    async fn send(&self, op: &Op, handle: &Handle, bytes: Bytes) -> Result<(), Error> {
        let (guest_op, told) = (to_guest::op(op), to_guest::handle(handle));
        self.ask_if(
            Offer::Input,
            Call::effect(op),
            handle,
            move |store, instance, template| {
                Box::pin(async move {
                    let input = template.input(&mut *store, &instance)?;
                    input.call_send(&mut *store, &guest_op, &told, &bytes).await
                })
            },
        )
        .await
    }

    async fn signal(&self, op: &Op, handle: &Handle, signal: &str) -> Result<(), Error> {
        let (guest_op, told) = (to_guest::op(op), to_guest::handle(handle));
        let signal = signal.to_owned();
        self.ask_if(
            Offer::Signals,
            Call::effect(op),
            handle,
            move |store, instance, template| {
                Box::pin(async move {
                    let signals = template.signals(&mut *store, &instance)?;
                    signals
                        .call_send(&mut *store, &guest_op, &told, &signal)
                        .await
                })
            },
        )
        .await
    }

    async fn usage(&self, item: &ItemKey, handle: &Handle) -> Result<Usage, Error> {
        let told = to_guest::handle(handle);
        let call = Call::look_at("stats", item);
        self.ask_if(
            Offer::Stats,
            call,
            handle,
            move |store, instance, template| {
                Box::pin(async move {
                    let stats = template.stats(&mut *store, &instance)?;
                    stats.call_take(&mut *store, &told).await
                })
            },
        )
        .await
        .map(|sample| from_guest::usage(&sample))
    }

    async fn exec(&self, op: &Op, handle: &Handle, spec: &ExecSpec) -> Result<String, Error> {
        let (guest_op, told) = (to_guest::op(op), to_guest::handle(handle));
        let request = to_guest::exec(spec);
        let known = self
            .ask_exec(Call::effect(op), handle, move |store, guest| {
                Box::pin(async move { guest.call_start(store, &guest_op, &told, &request).await })
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
        let (told, exec) = (to_guest::handle(handle), exec.to_owned());
        let cursor = (after > 0).then(|| after.to_string());
        self.ask_exec(Call::look_at("open", item), handle, move |store, guest| {
            Box::pin(async move {
                let answer = guest
                    .call_open(&mut *store, &told, &exec, cursor.as_deref())
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
        let (told, exec) = (to_guest::handle(handle), exec.to_owned());
        let state = self
            .ask_exec(
                Call::look_at("inspect", item),
                handle,
                move |store, guest| {
                    Box::pin(async move { guest.call_inspect(store, &told, &exec).await })
                },
            )
            .await?;
        Ok(from_guest::exec_state(
            self.serving().generation.scope.intake(),
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
        let (told, exec) = (to_guest::handle(handle), exec.to_owned());
        let size = to_guest::size(size);
        self.ask_exec(
            Call::look_at("resize", item),
            handle,
            move |store, guest| {
                Box::pin(async move { guest.call_resize(store, &told, &exec, size).await })
            },
        )
        .await
    }

    async fn signal_exec(
        &self,
        op: &Op,
        handle: &Handle,
        exec: &str,
        signal: &str,
    ) -> Result<(), Error> {
        let (guest_op, told) = (to_guest::op(op), to_guest::handle(handle));
        let (exec, signal) = (exec.to_owned(), signal.to_owned());
        self.ask_exec(Call::effect(op), handle, move |store, guest| {
            Box::pin(async move {
                guest
                    .call_signal(store, &guest_op, &told, &exec, &signal)
                    .await
            })
        })
        .await
    }

    async fn remove_exec(&self, op: &Op, handle: &Handle, exec: &str) -> Result<(), Error> {
        let (guest_op, told) = (to_guest::op(op), to_guest::handle(handle));
        let exec = exec.to_owned();
        let removed = self
            .ask_exec(Call::effect(op), handle, move |store, guest| {
                Box::pin(async move { guest.call_remove(store, &guest_op, &told, &exec).await })
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
