//! Waiting for a workload.
//!
//! The protocol: listen to its events, and when the stream is up, and again at each event and each
//! reconnect, look at the workload. What changes between listening and looking is an event, so no
//! change is missed. A slow look besides guards against a stream that is up and says nothing.

use std::time::Duration;

use fleet_model::workload::Workload;
use fleet_model::{Generation, WorkloadId};

use crate::client::Client;
use crate::error::ClientError;
use crate::events::EventQuery;

/// How often to look when nothing is heard.
const SLOW_LOOK: Duration = Duration::from_secs(5);

impl Client {
    /// Returns the workload once its node has caught up with `generation` (or a later one) and `done`
    /// says so. `done` sees each look, also those before the node has caught up.
    ///
    /// # Errors
    /// As every call; `not-found` when it is removed meanwhile.
    pub async fn wait_for(
        &self,
        id: WorkloadId,
        generation: Generation,
        mut done: impl FnMut(&Workload) -> bool,
    ) -> Result<Workload, ClientError> {
        let look = |workload: Workload| {
            let says_done = done(&workload);
            let caught_up = workload.observed_generation >= Some(generation);
            (says_done && caught_up).then_some(workload)
        };
        self.watch(id, look, Err).await
    }

    /// Returns when it is gone with all that belonged to it. `seen` gets each look before that.
    ///
    /// # Errors
    /// As every call.
    pub async fn wait_gone(
        &self,
        id: WorkloadId,
        mut seen: impl FnMut(&Workload),
    ) -> Result<(), ClientError> {
        let look = |workload: Workload| {
            seen(&workload);
            None
        };
        let gone = |error: ClientError| {
            if error.is_not_found() {
                Ok(())
            } else {
                Err(error)
            }
        };
        self.watch(id, look, gone).await
    }

    /// Looks at each wake, until `look` has an answer or looking fails for another reason than the
    /// connection: then `failed` decides what that means.
    async fn watch<T>(
        &self,
        id: WorkloadId,
        mut look: impl FnMut(Workload) -> Option<T>,
        failed: impl Fn(ClientError) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let name = id.to_string();
        let query = EventQuery {
            subject: Some(name.clone()),
            ..EventQuery::default()
        };
        let mut events = self.follow_events(query);
        loop {
            tokio::select! {
                heard = events.next() => { heard?; }
                () = self.clock().sleep(SLOW_LOOK) => {}
            }
            match self.workload(&name).await {
                Ok(workload) => {
                    if let Some(answer) = look(workload) {
                        return Ok(answer);
                    }
                }
                // The event stream breaks too, and it knows how long to be patient.
                Err(error) if error.is_connection() => {}
                Err(error) => return failed(error),
            }
        }
    }
}
