//! Effects that are written down after they were done, and so must not end in between.
//!
//! Whoever asked for one may go away at any moment, with their session: the effect goes on in a task of
//! its own, which they merely wait for. It ends early with the node alone, where the next life of the
//! node finds what was not written down.

use fleet_model::Error;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// All that are under way.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    tasks: TaskTracker,
    over: CancellationToken,
}

impl Effects {
    /// Does something to its end, also when nobody waits for it any more.
    ///
    /// # Errors
    /// `unavailable` (`node-stopping`); what it says itself.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        effect: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let over = self.over.clone();
        let task = self.tasks.spawn(async move {
            tokio::select! {
                done = effect => done,
                () = over.cancelled() => Err(Error::unavailable(
                    "node-stopping",
                    "the node is stopping: try again, with the same key",
                )),
            }
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an effect broke off");
            Err(Error::internal(
                "effect",
                "the node broke off halfway: its log says why",
            ))
        })
    }

    /// What is under way ends when this is dropped.
    pub(crate) fn guard(&self) -> DropGuard {
        self.over.clone().drop_guard()
    }

    /// Returns when nothing is under way any more.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_is_done_to_its_end() {
        let effects = Effects::default();
        let (go, gone) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let asked = effects.run(async move {
            gone.await.unwrap();
            done.send(()).unwrap();
            Ok(())
        });
        assert!(asked.now_or_never().is_none());
        go.send(()).unwrap();
        is_done.await.unwrap();
        effects.ended().await;
    }

    #[tokio::test]
    async fn with_the_node_it_ends() {
        let effects = Effects::default();
        let guard = effects.guard();
        let asked = effects.run(std::future::pending::<Result<(), Error>>());
        tokio::pin!(asked);
        assert!((&mut asked).now_or_never().is_none());
        drop(guard);
        assert_eq!(asked.await.unwrap_err().code, "node-stopping");
        effects.ended().await;
    }
}
