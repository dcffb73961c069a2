//! Programs beside a workload.

use fleet_model::exec::{Exec, ExecId, ExecSpec};
use serde_json::json;

use crate::attachment::Attachment;
use crate::client::{Client, workload_path};
use crate::error::ClientError;
use crate::key::IdempotencyKey;
use crate::page::Page;
use crate::request::Ask;

impl Client {
    /// Begins a program beside a workload, once per key and run of the workload.
    ///
    /// # Errors
    /// As every call; `not-running`, `program-missing`, `program-not-executable`,
    /// `program-is-directory`, `too-many-execs`. After one that may pass, the same may be asked for
    /// again with the same key.
    pub async fn exec(
        &self,
        name: &str,
        spec: &ExecSpec,
        key: &IdempotencyKey,
    ) -> Result<Exec, ClientError> {
        let body = serde_json::to_value(spec).unwrap_or_default();
        let ask = Ask::post(workload_path(name, "/execs"), body);
        self.json(ask.keyed(key.clone())).await
    }

    /// The programs beside a workload, those that are over included while they are remembered.
    ///
    /// # Errors
    /// As every call; `not-found`.
    pub async fn execs(&self, name: &str) -> Result<Page<Exec>, ClientError> {
        self.json(Ask::get(workload_path(name, "/execs"))).await
    }

    /// One program beside a workload.
    ///
    /// # Errors
    /// As every call; `no-such-exec`.
    pub async fn exec_show(&self, id: ExecId) -> Result<Exec, ClientError> {
        self.json(Ask::get(exec_path(id, ""))).await
    }

    /// Sends a program a signal, by its name, once per key.
    ///
    /// # Errors
    /// As every call; `no-such-exec`, `unknown-signal`, `exec-over`.
    pub async fn exec_signal(
        &self,
        id: ExecId,
        signal: &str,
        key: &IdempotencyKey,
    ) -> Result<(), ClientError> {
        let ask = Ask::post(exec_path(id, "/signals"), json!({ "signal": signal }));
        let _: serde_json::Value = self.json(ask.keyed(key.clone())).await?;
        Ok(())
    }

    /// Ends a program and forgets it.
    ///
    /// # Errors
    /// As every call; `no-such-exec`, also where an earlier answer was lost.
    pub async fn exec_remove(&self, id: ExecId) -> Result<(), ClientError> {
        let _: serde_json::Value = self.json(Ask::delete(exec_path(id, ""))).await?;
        Ok(())
    }

    /// Attaches to a program whose output is known up to `after`; connects when first asked for
    /// something. Whoever was attached before is let go.
    #[must_use]
    pub fn attach(&self, id: ExecId, after: u64) -> Attachment {
        Attachment::new(self.clone(), exec_path(id, "/attach"), after)
    }
}

/// A path below a program.
fn exec_path(id: ExecId, rest: &str) -> String {
    format!("/api/v1/execs/{id}{rest}")
}
