//! What is asked of programs beside a process, as calls of [`LocalProcesses`].

use std::collections::BTreeMap;
use std::time::Duration;

use fleet_model::exec::{ExecState, TerminalSize};
use fleet_model::packet::SOCKET_VARIABLE;
use fleet_model::{Error, ErrorKind, Op};
use futures::future::{Either, select};

use super::create::{self, Asked as Wanted};
use super::over;
use super::record::ExecRecord;
use super::reference::ExecReference;
use super::slot::ExecSlot;
use super::wire::{Demand, Reply};
use super::{attach, state};
use crate::fault;
use crate::input::limits::CALL_BYTES;
use crate::process::control::{self, Asked};
use crate::process::evidence::ClaimSeen;
use crate::process::launcher::Launcher;
use crate::process::local::{Deadline, LocalProcesses, does_not_end, slow};
use crate::process::owned::{Own, Told};
use crate::process::shim::message::{Answer, BesideOrder};
use crate::process::{Caller, ExecRequest, environment, marker, signals, start};
use crate::secret::SecretValue;
use crate::secret::wire::Carried;
use crate::source::Source;

/// What a terminal is taken for where nobody says.
const TERM: (&str, &str) = ("TERM", "xterm-256color");

/// How long a shim may take to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// A program that is the caller's.
struct OwnExec {
    reference: ExecReference,
    own: Own,
    exec: ExecSlot,
    record: ExecRecord,
}

impl LocalProcesses {
    pub(crate) async fn start_beside(
        &self,
        caller: &Caller,
        launcher: &Launcher,
        op: &Op,
        reference: &str,
        request: ExecRequest,
    ) -> Result<String, Error> {
        let deadline = self.deadline();
        let own = self.own(caller, reference).await?;
        let (made, launcher, op) = (own.clone(), launcher.clone(), op.clone());
        let wanted = request.clone();
        let (reference, exec) = self
            .blocking(move |inner| {
                let asked = Wanted {
                    op: &op,
                    launcher: &launcher,
                    request: &wanted,
                    now_ms: inner.clock.unix_ms(),
                };
                create::create(&inner.workspaces, &made, &inner.door, &asked)
            })
            .await?;
        let slot = exec.slot.clone();
        let told = if self.blocking(move |_| Ok(slot.is_claimed())).await? {
            Told::Nothing
        } else {
            let order = BesideOrder {
                env: self.environment(&own, &request, deadline).await?,
            };
            let (shim, left) = (&self.inner.shim, self.left(deadline));
            match start::run_shim(shim, &exec.slot, order, &self.inner.clock, left).await? {
                Some(Answer::Started) => Told::Executed,
                Some(Answer::Claimed) => Told::Nothing,
                Some(Answer::Failed { error }) => return Err(error),
                None => return Err(start_slow()),
            }
        };
        let outcome = self.poll(deadline, move |_| outcome(&own, &exec, told));
        outcome.await?.unwrap_or_else(|| Err(start_slow()))?;
        Ok(reference.to_string())
    }

    /// That of the process, with what the request sets over it.
    async fn environment(
        &self,
        own: &Own,
        request: &ExecRequest,
        deadline: Deadline,
    ) -> Result<BTreeMap<String, Carried>, Error> {
        let workload = own.reference.workload;
        let socket = self
            .blocking(move |inner| inner.packet_socket(workload))
            .await?;
        let values = self.secrets(own, deadline).await?;
        let carried = |bytes: &[u8]| Carried(SecretValue::new(bytes.to_vec()));
        let mut env = environment::whole(&own.request, &values)?;
        env.insert(
            SOCKET_VARIABLE.to_owned(),
            carried(socket.as_os_str().as_encoded_bytes()),
        );
        if request.terminal.is_some() {
            env.insert(TERM.0.to_owned(), carried(TERM.1.as_bytes()));
        }
        let mark = env.remove(marker::NAME);
        for (name, value) in &request.env {
            env.insert(name.clone(), carried(value.as_bytes()));
        }
        env.extend(mark.map(|mark| (marker::NAME.to_owned(), mark)));
        Ok(env)
    }

    pub(crate) async fn open_beside(
        &self,
        caller: &Caller,
        reference: &str,
        exec: &str,
        after: u64,
    ) -> Result<Source, Error> {
        let found = self.own_exec(caller, exec).await?;
        if found.own.reference.to_string() != reference {
            return Err(no_exec(found.reference));
        }
        attach::open(found.exec, after, &self.inner.clock).await
    }

    pub(crate) async fn look_beside(
        &self,
        caller: &Caller,
        exec: &str,
    ) -> Result<ExecState, Error> {
        let found = self.own_exec(caller, exec).await?;
        let reference = found.reference;
        self.blocking(move |_| {
            let evidence = found.exec.slot.evidence();
            let evidence =
                evidence.map_err(|error| fault::storage("look at", found.exec.folder(), &error))?;
            state::of(&evidence).ok_or_else(|| no_exec(reference))
        })
        .await
    }

    pub(crate) async fn resize_beside(
        &self,
        caller: &Caller,
        exec: &str,
        size: TerminalSize,
    ) -> Result<(), Error> {
        let found = self.own_exec(caller, exec).await?;
        if found.record.request.terminal.is_none() {
            return Err(Error::invalid(
                "no-terminal",
                "the program has no terminal whose size could change: start it with one",
            ));
        }
        self.demand(&found, &Demand::Resize { size }).await
    }

    pub(crate) async fn signal_beside(
        &self,
        caller: &Caller,
        op: &Op,
        exec: &str,
        signal: &str,
    ) -> Result<(), Error> {
        signals::by_name(signal)?;
        if op.call.len() > CALL_BYTES {
            return Err(Error::invalid(
                "bad-op",
                format!("a signal's key may have {CALL_BYTES} bytes at most"),
            ));
        }
        let found = self.own_exec(caller, exec).await?;
        let demand = Demand::Signal {
            call: op.call.clone(),
            name: signal.to_owned(),
        };
        self.demand(&found, &demand).await
    }

    pub(crate) async fn remove_beside(&self, caller: &Caller, exec: &str) -> Result<(), Error> {
        let deadline = self.deadline();
        let found = match self.own_exec(caller, exec).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        // It may tell whoever is attached. Whether it hears or not, it is ended.
        let _ = self.demand(&found, &Demand::End).await;
        let exec = found.exec.clone();
        let begun_ms = self.inner.clock.boot_ms();
        let ended = self.poll(deadline, move |inner| {
            let shims = inner.patience_with_shims(begun_ms);
            let end = || {
                if over::is_over(&exec)? {
                    return Ok(Some(()));
                }
                over::end(&exec, inner.clock.unix_ms(), shims).map(|()| None)
            };
            end().map_err(|error| fault::storage("end the program of", exec.folder(), &error))
        });
        if ended.await?.is_none() {
            return Err(does_not_end(&found.reference.to_string()));
        }
        self.blocking(move |_| {
            let erased = found.exec.erase();
            erased.map_err(|error| fault::storage("remove", found.exec.folder(), &error))
        })
        .await
    }

    /// The caller's program of this name. Another plugin's is not there.
    async fn own_exec(&self, caller: &Caller, exec: &str) -> Result<OwnExec, Error> {
        let reference: ExecReference = exec.parse()?;
        let caller = caller.clone();
        self.blocking(move |inner| {
            let own = Own::find(&inner.workspaces, &caller, reference.process)?;
            let exec = ExecSlot::of(&own.slot, reference.key);
            let record = exec
                .request()
                .map_err(|error| fault::storage("read", exec.folder(), &error))?
                .ok_or_else(|| no_exec(reference))?;
            Ok(OwnExec {
                reference,
                own,
                exec,
                record,
            })
        })
        .await
    }

    /// Asks its shim for something.
    async fn demand(&self, found: &OwnExec, demand: &Demand) -> Result<(), Error> {
        let asking = Box::pin(control::ask(found.exec.folder(), demand));
        match select(asking, self.inner.clock.sleep(ANSWER)).await {
            Either::Left((Asked::Answered(Reply::Done), _)) => Ok(()),
            Either::Left((Asked::Answered(Reply::Refused { error }), _)) => Err(error),
            Either::Left((Asked::Absent | Asked::Silent, _)) => {
                let exec = found.exec.clone();
                let reference = found.reference;
                self.blocking(move |_| Err(unreached(reference, &exec)))
                    .await
            }
            Either::Right(_) => Err(busy()),
        }
    }
}

/// Why a shim could not be asked.
fn unreached(reference: ExecReference, exec: &ExecSlot) -> Error {
    match exec.slot.evidence() {
        Err(error) => fault::storage("look at", exec.folder(), &error),
        Ok(evidence) => match state::of(&evidence) {
            None => no_exec(reference),
            Some(ExecState::Running) => busy(),
            Some(_) => Error::not_found("exec-ended", "the program has ended"),
        },
    }
}

/// The answer to a start; `None` while nobody can tell. What was started and is lost was started.
fn outcome(own: &Own, exec: &ExecSlot, told: Told) -> Result<Option<Result<(), Error>>, Error> {
    let evidence = exec
        .slot
        .evidence()
        .map_err(|error| fault::storage("read", exec.folder(), &error))?;
    if let Some(record) = &evidence.exit {
        return Ok(Some(record.start_error.clone().map_or(Ok(()), Err)));
    }
    let is_marked = || {
        let marker = own.request.marker.as_ref().zip(evidence.started());
        marker.is_some_and(|(marker, started)| marker.is_on(started.program.pid))
    };
    let is_known =
        told == Told::Executed || !evidence.shim_lives || exec.slot.is_executed() || is_marked();
    Ok((evidence.claim != ClaimSeen::None && is_known).then_some(Ok(())))
}

fn no_exec(reference: ExecReference) -> Error {
    Error::not_found("no-exec", format!("there is no program {reference}"))
}

fn busy() -> Error {
    slow(
        "keeper-busy",
        "the program's keeper has not answered yet; ask again",
    )
}

fn start_slow() -> Error {
    slow(
        "start-slow",
        "the start of this program is still under way; ask again",
    )
}
