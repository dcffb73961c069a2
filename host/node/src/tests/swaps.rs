//! Swaps that are only played: held at a stage until a test lets them end, and counted.

use std::fs::File;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use fleet_model::plugin::{PluginState, Swapping};
use fleet_model::swap::{Quarantined, SwapEvent, SwapReport};
use fleet_model::{Error, Name};
use fleet_plugin::{SwapOptions, Swaps, Upload};
use serde_json::json;
use tokio::sync::{Semaphore, broadcast};

/// What is played.
pub(super) struct Played {
    inner: Mutex<Inner>,
    /// A place for each swap that may end.
    ends: Semaphore,
    events: broadcast::Sender<SwapEvent>,
}

#[derive(Default)]
struct Inner {
    begun: Vec<(Vec<u8>, Option<String>)>,
    reports: Vec<SwapReport>,
    refusal: Option<Error>,
    stage: Option<PluginState>,
}

impl Default for Played {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            ends: Semaphore::new(Semaphore::MAX_PERMITS),
            events: broadcast::Sender::new(8),
        }
    }
}

impl Played {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// From now on none ends until it may.
    pub(super) fn hold(&self) {
        self.ends.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// So many may end.
    pub(super) fn release(&self, count: usize) {
        self.ends.add_permits(count);
    }

    /// The next is refused.
    pub(super) fn refuse(&self, error: Error) {
        self.inner().refusal = Some(error);
    }

    /// How far the newcomer is.
    pub(super) fn reach(&self, stage: Option<PluginState>) {
        self.inner().stage = stage;
    }

    /// What the plugin's row says of that.
    pub(super) fn swapping(&self) -> Option<Swapping> {
        self.inner().stage.map(|state| Swapping {
            digest: None,
            version: None,
            state,
        })
    }

    /// What was begun: component and manifest.
    pub(super) fn begun(&self) -> Vec<(Vec<u8>, Option<String>)> {
        self.inner().begun.clone()
    }

    async fn end(&self, kind: &str, digest: &str, request: Option<String>) -> SwapReport {
        self.ends.acquire().await.unwrap().forget();
        let mut inner = self.inner();
        let side = json!({"digest": digest, "manifest": "", "version": "2"});
        let report: SwapReport = serde_json::from_value(json!({
            "id": inner.reports.len() + 1, "plugin": "double", "kind": kind, "cause": "upload", "request": request,
            "at_ms": 1, "took_ms": 2, "to": side, "stages": [], "handles": {"looked_at": 0, "adopted": 0, "failed": 0},
            "calls": {"drained": 0, "reissued": 0}, "verdict": "active",
        }))
        .unwrap();
        inner.reports.push(report.clone());
        report
    }
}

#[async_trait]
impl Swaps for Played {
    async fn swap(
        &self,
        _: &Name,
        upload: Upload,
        options: SwapOptions,
    ) -> Result<SwapReport, Error> {
        if let Some(error) = self.inner().refusal.take() {
            return Err(error);
        }
        let component = upload.component.to_vec();
        let digest = fleet_plugin::Digest::of(&component).to_string();
        self.inner().begun.push((component, upload.manifest));
        Ok(self.end("swap", &digest, options.request).await)
    }

    async fn rollback(&self, _: &Name, request: Option<String>) -> Result<SwapReport, Error> {
        self.inner().begun.push((Vec::new(), None));
        Ok(self.end("rollback", "", request).await)
    }

    fn spool(&self) -> Result<File, Error> {
        Ok(tempfile::tempfile().unwrap())
    }

    fn history(
        &self,
        _: &Name,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<SwapReport>, Option<u64>), Error> {
        let mut reports = self.inner().reports.clone();
        reports.retain(|report| before.is_none_or(|before| report.id < before));
        reports.reverse();
        let is_more = reports.len() > limit;
        reports.truncate(limit);
        let next = reports.last().filter(|_| is_more).map(|report| report.id);
        Ok((reports, next))
    }

    fn quarantined(&self) -> Vec<Quarantined> {
        Vec::new()
    }

    async fn unquarantine(&self, digest: &str) -> Result<Vec<Quarantined>, Error> {
        Err(Error::not_found("not-quarantined", digest))
    }

    fn events(&self) -> broadcast::Receiver<SwapEvent> {
        self.events.subscribe()
    }
}
