//! A caller's own processes: found by reference, listed, and told what is true of them.

use std::collections::BTreeMap;
use std::io;

use fleet_model::{Error, ErrorKind, WorkloadId};

use super::evidence::Evidence;
use super::record::RequestRecord;
use super::reference::Reference;
use super::slot::Slot;
use super::{Caller, ListedProcess, ProcessState, ProcessStatus};
use crate::fault;
use crate::workspace::Workspaces;

/// What a caller heard of a start before it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    /// By the shim that executed it.
    Executed,
}

/// A slot that is the caller's.
#[derive(Clone)]
pub(crate) struct Own {
    pub(crate) reference: Reference,
    pub(crate) slot: Slot,
    pub(crate) request: RequestRecord,
}

impl Own {
    /// The caller's process of this name. Another plugin's is not there.
    pub(crate) fn find(
        workspaces: &Workspaces,
        caller: &Caller,
        reference: Reference,
    ) -> Result<Self, Error> {
        let slot = Slot::of(workspaces, reference);
        let request = slot
            .request()
            .map_err(|error| fault::storage("read", slot.folder(), &error))?;
        match request.filter(|request| request.plugin == caller.plugin) {
            Some(request) => Ok(Self {
                reference,
                slot,
                request,
            }),
            None => Err(Error::not_found(
                "no-process",
                format!("there is no process {reference}"),
            )),
        }
    }

    /// One look at it.
    pub(crate) fn status(&self) -> Result<ProcessStatus, Error> {
        Ok(status(&self.evidence()?, &self.request))
    }

    /// The answer to `start`; `None` while nobody can tell.
    pub(crate) fn outcome(
        &self,
        told: Told,
    ) -> Result<Option<Result<ProcessStatus, Error>>, Error> {
        let evidence = self.evidence()?;
        if let Some(error) = evidence
            .exit
            .as_ref()
            .and_then(|record| record.start_error.clone())
        {
            return Ok(Some(Err(error)));
        }
        let status = status(&evidence, &self.request);
        Ok(match &status.state {
            ProcessState::Prepared => None,
            // A program that another shim has claimed may still turn out not to be executable.
            ProcessState::Running
                if told == Told::Nothing
                    && !evidence.is_orphaned()
                    && !self.is_executed(&evidence) =>
            {
                None
            }
            ProcessState::Lost(why) => Some(Err(Error::new(
                ErrorKind::Other,
                "start-lost",
                format!("{}: {why}", self.reference),
            ))),
            ProcessState::Running | ProcessState::Exited(_) => Some(Ok(status)),
        })
    }

    /// Whether the claimed child became the program. The file that says so may be missing where the
    /// disk is full; the mark in its environment came with its exec.
    pub(crate) fn is_executed(&self, evidence: &Evidence) -> bool {
        let is_marked = || {
            let marker = self.request.marker.as_ref();
            let started = evidence.started();
            marker
                .zip(started)
                .is_some_and(|(marker, started)| marker.is_on(started.program.pid))
        };
        self.slot.is_executed() || is_marked()
    }

    fn evidence(&self) -> Result<Evidence, Error> {
        self.slot
            .evidence()
            .map_err(|error| fault::storage("read", self.slot.folder(), &error))
    }
}

fn status(evidence: &Evidence, request: &RequestRecord) -> ProcessStatus {
    let state = evidence.state();
    let started = evidence.started();
    let pid = started
        .filter(|_| evidence.program_lives)
        .map(|started| started.program.pid);
    let mut attributes = BTreeMap::from([(
        "isolation".to_owned(),
        request.placement.isolation().to_owned(),
    )]);
    if let Some(venv) = &request.venv {
        attributes.insert("venv".to_owned(), venv.display().to_string());
    }
    if evidence.exit.as_ref().is_some_and(|record| record.oom) {
        attributes.insert("oom".to_owned(), "true".to_owned());
    }
    attributes.extend(pid.map(|pid| ("pid".to_owned(), pid.to_string())));
    if let ProcessState::Exited(exit) = &state {
        attributes.extend(
            exit.signal
                .clone()
                .map(|signal| ("signal".to_owned(), signal)),
        );
    }
    if let Some(error) = evidence
        .exit
        .as_ref()
        .and_then(|record| record.start_error.as_ref())
    {
        attributes.insert("start-error".to_owned(), error.message.clone());
    }
    if evidence.is_orphaned() {
        attributes.insert("shim".to_owned(), "lost".to_owned());
    }
    ProcessStatus {
        state,
        pid,
        started_at_ms: started.map(|started| started.at_ms),
        attributes,
    }
}

/// One page of the caller's processes, in order, and where the next begins.
pub(crate) fn list(
    workspaces: &Workspaces,
    caller: &Caller,
    after: Option<Reference>,
    limit: usize,
) -> Result<(Vec<ListedProcess>, Option<String>), Error> {
    let mut found: Vec<ListedProcess> = Vec::new();
    let first = after.map(|after| after.workload);
    for workload in workspaces
        .ids()?
        .into_iter()
        .filter(|id| first.is_none_or(|first| *id >= first))
    {
        for reference in tries(workspaces, workload)? {
            let is_past = after.is_none_or(|after| reference > after);
            if !is_past || Own::find(workspaces, caller, reference).is_err() {
                continue;
            }
            if found.len() == limit {
                let next = found.last().map(|last| last.reference.clone());
                return Ok((found, next));
            }
            found.push(ListedProcess {
                reference: reference.to_string(),
                workload: workload.to_string(),
                generation: reference.generation.0,
            });
        }
    }
    Ok((found, None))
}

fn tries(workspaces: &Workspaces, workload: WorkloadId) -> Result<Vec<Reference>, Error> {
    let folder = workspaces.runs(workload);
    let read = || {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let name = entry?.file_name();
            found.extend(
                name.to_str()
                    .and_then(|name| Reference::from_parts(workload, name)),
            );
        }
        found.sort();
        Ok::<_, io::Error>(found)
    };
    match read() {
        Ok(found) => Ok(found),
        // Removed meanwhile, or not all there yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(fault::storage("read the folder", &folder, &error)),
    }
}
