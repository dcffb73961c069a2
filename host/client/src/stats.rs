//! What workloads use.

use fleet_model::stats::Sample;
use fleet_model::{Name, WorkloadId};
use serde::{Deserialize, Serialize};

use crate::backoff::Outage;
use crate::client::{Client, workload_path};
use crate::error::ClientError;
use crate::ndjson::Objects;
use crate::request::Ask;

/// A look at what one workload uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadUsage {
    /// The workload's id.
    pub id: WorkloadId,
    /// Its name.
    pub name: Name,
    /// What was seen; absent where it does not run, or its backend does not tell.
    pub sample: Option<Sample>,
}

/// What all workloads use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllUsage {
    /// Every running workload of the nodes that answered.
    pub items: Vec<WorkloadUsage>,
    /// The nodes that did not.
    pub missing: Vec<MissingNode>,
}

/// A node that did not say what its workloads use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingNode {
    /// The node's name.
    pub node: String,
    /// Why.
    pub detail: String,
}

/// Which looks at one workload.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatsQuery {
    /// Begin with the last hour, else with the last look.
    pub history: bool,
    /// Go on with every new look, until the workload is removed.
    pub follow: bool,
}

impl Client {
    /// The last look at every running workload, at most 2 s old.
    ///
    /// # Errors
    /// As every call.
    pub async fn all_stats(&self) -> Result<AllUsage, ClientError> {
        self.json(Ask::get("/api/v1/stats")).await
    }

    /// Looks at what a workload uses; goes on after a broken connection.
    #[must_use]
    pub fn stats(&self, name: &str, query: StatsQuery) -> StatsFollow {
        StatsFollow {
            client: self.clone(),
            path: workload_path(name, "/stats"),
            query,
            last_ms: None,
            resumed_after_ms: None,
            open: None,
            outage: Outage::new(),
        }
    }
}

/// Looks at one workload being read. Each comes once; after a break those that were missed come first, as
/// far as the workload's node still knows them.
#[derive(Debug)]
pub struct StatsFollow {
    client: Client,
    path: String,
    query: StatsQuery,
    /// When the last look that was given out was taken.
    last_ms: Option<u64>,
    /// The look after which an open connection has something new.
    resumed_after_ms: Option<u64>,
    open: Option<Objects>,
    outage: Outage,
}

impl StatsFollow {
    /// The next look; `None` at the end. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// The first connection fails, the API refuses, or nobody answered for
    /// [`patience`](crate::ClientOptions::patience).
    pub async fn next(&mut self) -> Result<Option<WorkloadUsage>, ClientError> {
        loop {
            let failure = match self.step().await {
                Ok(Some(usage)) => {
                    self.outage.received();
                    if self.is_new(&usage) {
                        return Ok(Some(usage));
                    }
                    continue;
                }
                Ok(None) => return Ok(None),
                Err(failure) => failure,
            };
            self.open = None;
            if !failure.may_pass() || !self.outage.lost(&self.client).await {
                return Err(failure);
            }
        }
    }

    /// Whether it was not given out before the connection broke. Only a new connection repeats looks.
    fn is_new(&mut self, usage: &WorkloadUsage) -> bool {
        let at_ms = usage.sample.map(|sample| sample.at_ms);
        let is_old = match self.resumed_after_ms {
            Some(last_ms) => at_ms.is_none_or(|at_ms| at_ms <= last_ms),
            None => false,
        };
        if !is_old {
            self.resumed_after_ms = None;
            self.last_ms = at_ms.or(self.last_ms);
        }
        !is_old
    }

    async fn step(&mut self) -> Result<Option<WorkloadUsage>, ClientError> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let wants_past = self.query.history || self.last_ms.is_some();
                let flags = [("history", wants_past), ("follow", self.query.follow)];
                let pairs = flags
                    .into_iter()
                    .filter(|(_, is_set)| *is_set)
                    .map(|(name, _)| (name, "true".to_owned()))
                    .collect();
                let ask = Ask::get(self.path.clone()).with(pairs);
                let open = Objects::open(&self.client, &ask).await?;
                self.resumed_after_ms = self.last_ms;
                self.outage.connected(&self.client);
                self.open.insert(open)
            }
        };
        open.next(&self.client, &self.path).await
    }
}
