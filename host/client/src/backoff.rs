//! How long to leave a server alone that does not answer, and when to give up.

use std::time::Duration;

use fleet_seam::Entropy;

use crate::client::Client;
use crate::request::millis;

/// The first pause, before jitter.
const FIRST: Duration = Duration::from_millis(50);
/// The longest pause, before jitter.
const LONGEST: Duration = Duration::from_secs(2);
/// A connection that lived this long was a good one, even if nothing came over it.
const LIVED: Duration = Duration::from_secs(1);

/// Pauses that double, each with jitter so that many clients do not return as one.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Starts short.
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next pause, between half and one and a half of the step.
    pub(crate) fn pause(&mut self, entropy: &dyn Entropy) -> Duration {
        let pause = entropy.jitter(self.next);
        self.next = (self.next * 2).min(LONGEST);
        pause
    }
}

/// What a follower knows of its connection: whether there ever was one, and since when it is gone.
#[derive(Debug)]
pub(crate) struct Outage {
    connected_ms: Option<u64>,
    since_ms: Option<u64>,
    backoff: Backoff,
    /// Where it is not the client's.
    patience: Option<Duration>,
}

impl Outage {
    /// Never connected.
    pub(crate) fn new() -> Self {
        Self {
            connected_ms: None,
            since_ms: None,
            backoff: Backoff::new(),
            patience: None,
        }
    }

    /// Connected before, by another request; with a patience of its own.
    pub(crate) fn patient(client: &Client, patience: Duration) -> Self {
        Self {
            connected_ms: Some(client.clock().boot_ms()),
            patience: Some(patience),
            ..Self::new()
        }
    }

    /// The server took the request.
    pub(crate) fn connected(&mut self, client: &Client) {
        self.connected_ms = Some(client.clock().boot_ms());
    }

    /// Something came: whatever was wrong is over.
    pub(crate) fn received(&mut self) {
        self.since_ms = None;
        self.backoff = Backoff::new();
    }

    /// The connection is gone. Returns after a pause whether to try again: not when there never was
    /// a connection, and not when patience is over.
    pub(crate) async fn lost(&mut self, client: &Client) -> bool {
        match self.pause(client) {
            Some(pause) => {
                client.clock().sleep(pause).await;
                true
            }
            None => false,
        }
    }

    /// The connection is gone. Says how long to wait before another try, if there is to be one.
    pub(crate) fn pause(&mut self, client: &Client) -> Option<Duration> {
        let connected_ms = self.connected_ms?;
        let now = client.clock().boot_ms();
        let since = match self.since_ms {
            // Still the same outage: not connected since, or only for a moment.
            Some(since) if connected_ms <= since || now < connected_ms + millis(LIVED) => since,
            _ => {
                self.received();
                *self.since_ms.insert(now)
            }
        };
        let patience = self.patience.unwrap_or(client.patience());
        (now.saturating_sub(since) < millis(patience)).then(|| self.backoff.pause(client.entropy()))
    }
}

#[cfg(test)]
mod tests {
    use fleet_seam::SeededEntropy;

    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let (mut backoff, entropy) = (Backoff::new(), SeededEntropy::new(1));
        assert!(backoff.pause(&entropy) <= FIRST * 3 / 2);
        for _ in 0..20 {
            backoff.pause(&entropy);
        }
        let late = backoff.pause(&entropy);
        assert!(late >= LONGEST / 2 && late <= LONGEST * 3 / 2, "{late:?}");
    }
}
