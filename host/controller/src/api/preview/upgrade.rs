//! Connections that change to another protocol, a WebSocket as a rule: passed through as they are.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use super::{AtWork, headers};

/// The caller's connection, where it asked for another protocol.
pub(super) struct Wish(Option<OnUpgrade>);

impl Wish {
    /// Takes it out of a request whose headers, as they are passed on, ask for it.
    pub(super) fn take(parts: &mut Parts, onward: &HeaderMap) -> Self {
        let is_asked = headers::upgrade(onward).is_some();
        let connection = parts.extensions.remove::<OnUpgrade>();
        Self(connection.filter(|_| is_asked))
    }

    /// The program agreed: from here on bytes go both ways until one side ends or the host stops.
    ///
    /// # Errors
    /// When the caller did not ask.
    pub(super) fn grant(
        self,
        answer: Response<Incoming>,
        at_work: AtWork,
        headers: HeaderMap,
        closing: CancellationToken,
    ) -> Result<Response, ()> {
        let caller = self.0.ok_or(())?;
        let program = hyper::upgrade::on(answer);
        tokio::spawn(async move {
            tokio::select! {
                _ = join(caller, program) => {}
                () = closing.cancelled() => {}
            }
            drop(at_work);
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

async fn join(
    caller: OnUpgrade,
    program: OnUpgrade,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (caller, program): (Upgraded, Upgraded) = tokio::try_join!(caller, program)?;
    let (mut caller, mut program) = (TokioIo::new(caller), TokioIo::new(program));
    tokio::io::copy_bidirectional(&mut caller, &mut program).await?;
    Ok(())
}
