//! Programs that are only written down.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use fleet_capability::{
    Caller, Launcher, ListedProcess, Open, Prepared, ProcessState, ProcessStatus, Processes,
    Request, Source,
};
use fleet_model::{Error, Op};
use futures::StreamExt;
use tokio::sync::Notify;

/// Says yes to everything and remembers what was asked.
#[derive(Default)]
pub(crate) struct FakeProcesses {
    /// `prepare workload/…@3.1:create`, and so on.
    pub(crate) calls: Mutex<Vec<String>>,
    /// What `prepare` was asked for.
    pub(crate) requests: Mutex<Vec<Request>>,
    /// While set, a look never ends.
    pub(crate) hangs: AtomicBool,
    /// How many looks hang.
    pub(crate) hanging: AtomicUsize,
    starts: Starts,
}

/// Starts that are held.
#[derive(Default)]
struct Starts {
    is_held: AtomicBool,
    /// How many have begun, and how many of those have ended.
    begun: AtomicUsize,
    ended: AtomicUsize,
    overlapped: AtomicBool,
    changed: Notify,
}

impl FakeProcesses {
    /// From now on no start ends.
    pub(crate) fn hold_starts(&self) {
        self.starts.is_held.store(true, Ordering::SeqCst);
    }

    /// From now on every start ends.
    pub(crate) fn release_starts(&self) {
        self.starts.is_held.store(false, Ordering::SeqCst);
        self.starts.changed.notify_waiters();
    }

    /// How many starts have begun.
    pub(crate) fn starts(&self) -> usize {
        self.starts.begun.load(Ordering::SeqCst)
    }

    /// Whether two were under way at one time.
    pub(crate) fn overlapped(&self) -> bool {
        self.starts.overlapped.load(Ordering::SeqCst)
    }

    /// Returns when so many starts have begun.
    pub(crate) async fn starts_begun(&self, number: usize) {
        self.until(|| self.starts() >= number).await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            let changed = self.starts.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if is_so() {
                return;
            }
            changed.await;
        }
    }
}

impl FakeProcesses {
    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

fn running() -> ProcessStatus {
    ProcessStatus {
        state: ProcessState::Running,
        pid: Some(4711),
        started_at_ms: Some(1),
        attributes: [("pid".to_owned(), "4711".to_owned())].into(),
    }
}

#[async_trait]
impl Processes for FakeProcesses {
    fn facilities(&self) -> BTreeMap<String, String> {
        [("isolation".to_owned(), "none".to_owned())].into()
    }

    async fn prepare(
        &self,
        caller: &Caller,
        _: &Launcher,
        op: &Op,
        request: Request,
    ) -> Result<Prepared, Error> {
        self.note(format!(
            "{} prepare {op} {} {:?}",
            caller.plugin, request.launcher, request.command
        ));
        self.requests.lock().unwrap().push(request.clone());
        Ok(Prepared {
            reference: format!("{}/{}.{}", request.workload, op.generation, op.attempt),
            kill_target: None,
        })
    }

    async fn start(
        &self,
        caller: &Caller,
        op: &Op,
        reference: &str,
    ) -> Result<ProcessStatus, Error> {
        self.note(format!("{} start {op} {reference}", caller.plugin));
        let begun = self.starts.begun.fetch_add(1, Ordering::SeqCst);
        if self.starts.ended.load(Ordering::SeqCst) < begun {
            self.starts.overlapped.store(true, Ordering::SeqCst);
        }
        self.starts.changed.notify_waiters();
        self.until(|| !self.starts.is_held.load(Ordering::SeqCst))
            .await;
        self.starts.ended.fetch_add(1, Ordering::SeqCst);
        Ok(running())
    }

    async fn signal(
        &self,
        caller: &Caller,
        op: &Op,
        reference: &str,
        signal: &str,
    ) -> Result<(), Error> {
        self.note(format!(
            "{} signal {op} {reference} {signal}",
            caller.plugin
        ));
        Ok(())
    }

    async fn kill(&self, caller: &Caller, op: &Op, reference: &str) -> Result<(), Error> {
        self.note(format!("{} kill {op} {reference}", caller.plugin));
        Ok(())
    }

    async fn send(
        &self,
        caller: &Caller,
        op: &Op,
        reference: &str,
        bytes: Bytes,
    ) -> Result<(), Error> {
        self.note(format!("{} send {op} {reference} {bytes:?}", caller.plugin));
        Ok(())
    }

    async fn inspect(&self, _: &Caller, _: &str) -> Result<ProcessStatus, Error> {
        if self.hangs.load(Ordering::SeqCst) {
            self.hanging.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        Ok(running())
    }

    async fn remove(&self, caller: &Caller, op: &Op, reference: &str) -> Result<(), Error> {
        self.note(format!("{} remove {op} {reference}", caller.plugin));
        Ok(())
    }

    async fn list(
        &self,
        _: &Caller,
        _: Option<&str>,
        _: u32,
    ) -> Result<(Vec<ListedProcess>, Option<String>), Error> {
        Ok((Vec::new(), None))
    }

    async fn open(&self, caller: &Caller, reference: &str, what: Open) -> Result<Source, Error> {
        self.note(format!("{} open {reference} {what:?}", caller.plugin));
        Ok(Source {
            output: futures::stream::empty().boxed(),
            input: None,
        })
    }
}
