//! `fleet:host/process`: each call is checked against the plugin's launchers and, where it changes
//! something, against the op it was given; then it is the capability's business.

use std::sync::Arc;

use fleet_capability::{Caller, Processes, Source};
use fleet_model::{Error, ErrorKind, Name, Op};
use wasmtime::component::Resource;

use super::{Answer, answer};
use crate::bindings::fleet::common::types as common;
use crate::bindings::fleet::host::process::{
    ExecRequest, ExecState, Host, Listing, Prepared, Request, Sample, Size, Status, Stream,
};
use crate::convert::process as convert;
use crate::permission::Need;
use crate::state::CallState;

type Attributes = Vec<(String, String)>;

impl CallState {
    /// The capability, on this plugin's behalf.
    fn processes(&mut self) -> Result<(Arc<dyn Processes>, Caller), Error> {
        self.allow(Need::Process)?;
        let processes = self.scope.services.processes.clone();
        let processes = processes
            .ok_or_else(|| Error::unavailable("no-processes", "this host runs no programs"))?;
        Ok((
            processes,
            Caller {
                plugin: self.scope.plugin.clone(),
            },
        ))
    }

    /// The same, for a call that changes something.
    fn changing(&mut self, op: &common::Op) -> Result<(Arc<dyn Processes>, Caller, Op), Error> {
        let (processes, caller) = self.processes()?;
        Ok((processes, caller, self.op(&op.id)?))
    }

    /// The same, for a process that is there: it must belong to the workload the op is about.
    fn changing_of(
        &mut self,
        op: &common::Op,
        reference: &str,
    ) -> Result<(Arc<dyn Processes>, Caller, Op), Error> {
        let (processes, caller, op) = self.changing(op)?;
        let workload = reference.split_once('/').map(|(workload, _)| workload);
        if workload.is_some_and(|workload| workload != op.item.key) {
            return Err(foreign(&op));
        }
        Ok((processes, caller, op))
    }

    /// Prepares a process of the workload this call is about. Limits and secrets are that one's,
    /// whatever the guest says.
    async fn prepare_process(
        &mut self,
        op: &common::Op,
        request: Request,
    ) -> Result<Prepared, Error> {
        let launcher: Name = request
            .launcher
            .parse()
            .map_err(|error| Error::invalid("bad-launcher-name", format!("{error}")))?;
        self.allow(Need::Launcher(launcher.clone()))?;
        let rule = self.scope.permissions.launcher(&launcher)?.clone();
        let (processes, caller, op) = self.changing(op)?;
        if request.workload != op.item.key {
            return Err(foreign(&op));
        }
        let workload = request
            .workload
            .parse()
            .map_err(|error| Error::invalid("bad-workload", format!("{error}")))?;
        let terms = self.terms.clone().ok_or_else(|| {
            Error::denied(
                "outside-of-create",
                "only `create` is told of a workload and its limits: prepare its process there",
            )
        })?;
        let launcher_name = launcher.clone();
        let request = convert::request(launcher, workload, request, &terms)?;
        for secret in request.secrets.values() {
            self.allow(Need::Secret(secret.clone()))?;
        }
        let program = request.command.first().cloned().unwrap_or_default();
        let work = async move { processes.prepare(&caller, &rule, &op, request).await };
        self.outside(work)
            .await
            .map(convert::prepared)
            .map_err(|error| match error.kind {
                ErrorKind::Denied => {
                    let permissions = &self.scope.permissions;
                    permissions.with_launcher_lines(error, &launcher_name, &program)
                }
                _ => error,
            })
    }

    /// Starts a program beside a process of the workload this call is about, under the rule of the
    /// launcher that one was started through, as it is now.
    async fn exec_beside(
        &mut self,
        op: &common::Op,
        reference: String,
        request: ExecRequest,
    ) -> Result<String, Error> {
        let (processes, caller, op) = self.changing_of(op, &reference)?;
        if op.call.is_empty() {
            return Err(Error::invalid(
                "bad-op",
                "an exec needs an op with a call, the client's key, so that it is started once",
            ));
        }
        let request = convert::exec_request(request)?;
        let launcher = {
            let (processes, caller, reference) =
                (processes.clone(), caller.clone(), reference.clone());
            self.outside(async move { processes.launcher_of(&caller, &reference).await })
                .await?
        };
        self.allow(Need::Launcher(launcher.clone()))?;
        let rule = self.scope.permissions.launcher(&launcher)?.clone();
        let program = request.command.first().cloned().unwrap_or_default();
        let work = async move {
            processes
                .exec(&caller, &rule, &op, &reference, request)
                .await
        };
        self.outside(work).await.map_err(|error| match error.kind {
            ErrorKind::Denied => {
                let permissions = &self.scope.permissions;
                permissions.with_launcher_lines(error, &launcher, &program)
            }
            _ => error,
        })
    }

    async fn open_process(
        &mut self,
        reference: String,
        stream: Stream,
    ) -> Result<Resource<Source>, Error> {
        let (processes, caller) = self.processes()?;
        let what = convert::open(stream)?;
        let source = self
            .outside(async move { processes.open(&caller, &reference, what).await })
            .await?;
        self.table.push(source).map_err(|_| {
            Error::new(
                fleet_model::ErrorKind::Exhausted,
                "too-many-sources",
                "this call holds too many sources",
            )
        })
    }
}

fn foreign(op: &Op) -> Error {
    Error::denied(
        "foreign-workload",
        format!(
            "this call is about `{}`: a process of another workload needs a call of its own",
            op.item
        ),
    )
}

impl Host for CallState {
    async fn facilities(&mut self) -> Answer<Attributes> {
        answer(self.processes().map(|(processes, _)| {
            let launchers: Vec<&str> = self
                .scope
                .permissions
                .launchers()
                .map(Name::as_str)
                .collect();
            let launchers = ("launchers".to_owned(), launchers.join(","));
            processes
                .facilities()
                .into_iter()
                .chain([launchers])
                .collect()
        }))
    }

    async fn prepare(&mut self, op: common::Op, request: Request) -> Answer<Prepared> {
        answer(self.prepare_process(&op, request).await)
    }

    async fn start(&mut self, op: common::Op, reference: String) -> Answer<Status> {
        let (processes, caller, op) = answer(self.changing_of(&op, &reference))?;
        let work = async move { processes.start(&caller, &op, &reference).await };
        answer(self.outside(work).await.map(convert::status))
    }

    async fn signal(&mut self, op: common::Op, reference: String, signal: String) -> Answer<()> {
        let (processes, caller, op) = answer(self.changing_of(&op, &reference))?;
        answer(
            self.outside(async move { processes.signal(&caller, &op, &reference, &signal).await })
                .await,
        )
    }

    async fn send(&mut self, op: common::Op, reference: String, bytes: Vec<u8>) -> Answer<()> {
        let (processes, caller, op) = answer(self.changing_of(&op, &reference))?;
        let work = async move { processes.send(&caller, &op, &reference, bytes.into()).await };
        answer(self.outside(work).await)
    }

    async fn kill(&mut self, op: common::Op, reference: String) -> Answer<()> {
        let (processes, caller, op) = answer(self.changing_of(&op, &reference))?;
        answer(
            self.outside(async move { processes.kill(&caller, &op, &reference).await })
                .await,
        )
    }

    async fn inspect(&mut self, reference: String) -> Answer<Status> {
        let (processes, caller) = answer(self.processes())?;
        let work = async move { processes.inspect(&caller, &reference).await };
        answer(self.outside(work).await.map(convert::status))
    }

    async fn remove(&mut self, op: common::Op, reference: String) -> Answer<()> {
        let (processes, caller, op) = answer(self.changing_of(&op, &reference))?;
        answer(
            self.outside(async move { processes.remove(&caller, &op, &reference).await })
                .await,
        )
    }

    async fn list(&mut self, page: common::Page) -> Answer<Listing> {
        let (processes, caller) = answer(self.processes())?;
        let work = async move {
            processes
                .list(&caller, page.cursor.as_deref(), page.limit)
                .await
        };
        answer(self.outside(work).await.map(convert::listing))
    }

    async fn open(&mut self, reference: String, stream: Stream) -> Answer<Resource<Source>> {
        answer(self.open_process(reference, stream).await)
    }

    async fn exec(
        &mut self,
        op: common::Op,
        reference: String,
        request: ExecRequest,
    ) -> Answer<String> {
        answer(self.exec_beside(&op, reference, request).await)
    }

    async fn inspect_exec(&mut self, exec: String) -> Answer<ExecState> {
        let (processes, caller) = answer(self.processes())?;
        let work = async move { processes.inspect_exec(&caller, &exec).await };
        answer(self.outside(work).await.map(convert::exec_state))
    }

    async fn resize_exec(&mut self, exec: String, size: Size) -> Answer<()> {
        let (processes, caller) = answer(self.processes())?;
        let size = convert::size(size);
        answer(
            self.outside(async move { processes.resize_exec(&caller, &exec, size).await })
                .await,
        )
    }

    async fn signal_exec(&mut self, op: common::Op, exec: String, signal: String) -> Answer<()> {
        let (processes, caller, op) = answer(self.changing_of(&op, &exec))?;
        let work = async move { processes.signal_exec(&caller, &op, &exec, &signal).await };
        answer(self.outside(work).await)
    }

    async fn remove_exec(&mut self, op: common::Op, exec: String) -> Answer<()> {
        let (processes, caller, op) = answer(self.changing_of(&op, &exec))?;
        let work = async move { processes.remove_exec(&caller, &op, &exec).await };
        answer(self.outside(work).await)
    }

    async fn usage(&mut self, reference: String) -> Answer<Sample> {
        let (processes, caller) = answer(self.processes())?;
        let work = async move { processes.usage(&caller, &reference).await };
        answer(self.outside(work).await.map(convert::usage))
    }
}
