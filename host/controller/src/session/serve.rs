//! Takes in every node that dials, and owns the sessions.

use std::sync::Arc;

use fleet_protocol::transport::Listener;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::run::run;
use crate::controller::Inner;

/// Serves until `stop` or until the store has failed, and returns when the last session has ended.
pub(crate) async fn serve(
    inner: &Arc<Inner>,
    mut listener: impl Listener,
    stop: CancellationToken,
) {
    let ending = CancellationToken::new();
    let mut sessions = JoinSet::new();
    // Accepting need not be cancel-safe: it is polled until the end, and one dialler waits in between.
    let (found, mut dialled) = mpsc::channel(1);
    let accepting = async move {
        while let Some(connection) = listener.accept().await {
            if found.send(connection).await.is_err() {
                return;
            }
        }
    };
    let taking = async {
        loop {
            let has_room = sessions.len() < inner.options.limits.sessions;
            tokio::select! {
                Some(connection) = dialled.recv(), if has_room => {
                    sessions.spawn(run(inner.clone(), connection, ending.child_token()));
                }
                Some(ended) = sessions.join_next() => look(ended),
                else => return,
            }
        }
    };
    tokio::select! {
        // Without further dialling and without sessions there is nothing to do but to wait for the end.
        () = async { tokio::join!(accepting, taking); std::future::pending().await } => {}
        () = stop.cancelled() => {}
        cause = inner.store.failed() => tracing::error!(error = cause.as_ref() as &dyn std::error::Error, "the store has failed; sessions end"),
    }
    ending.cancel();
    while let Some(ended) = sessions.join_next().await {
        look(ended);
    }
}

fn look(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a session's task failed"
        );
    }
}
