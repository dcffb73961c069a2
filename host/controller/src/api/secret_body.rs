//! The body of a request that is a secret's value, byte for byte.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use fleet_model::Error;
use futures::StreamExt;
use zeroize::{Zeroize, Zeroizing};

use super::Api;
use super::body::is_json;
use super::problem::Problem;
use crate::secret::MAX_BYTES;

/// A value, held in one place that is wiped.
pub(super) struct SecretBody(pub(super) Zeroizing<Vec<u8>>);

impl FromRequest<Api> for SecretBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        if is_json(request.headers()) {
            let message = "the body is the secret's value itself, byte for byte: send it with the header \
                `Content-Type: application/octet-stream`, also where the value is JSON";
            return Err(Problem::with_status(
                415,
                Error::invalid("secret-as-json", message),
            ));
        }
        // As large as it gets, so that no part of it is left behind by growing.
        let mut value = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        let mut chunks = request.into_body().into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| broken())?;
            let fits = value.len() + chunk.len() <= MAX_BYTES;
            if fits {
                value.extend_from_slice(&chunk);
            }
            wipe(chunk);
            if !fits {
                return Err(too_large());
            }
        }
        if value.is_empty() {
            let message = "a secret has at least one byte: send its value as the body";
            return Err(Error::invalid("secret-empty", message).into());
        }
        Ok(Self(value))
    }
}

/// Overwrites what was received, where nobody else holds it.
fn wipe(chunk: Bytes) {
    if let Ok(mut chunk) = chunk.try_into_mut() {
        chunk.as_mut().zeroize();
    }
}

fn broken() -> Problem {
    Problem::with_status(
        400,
        Error::invalid("body-broken", "the body ended early: send it again"),
    )
}

fn too_large() -> Problem {
    let message = format!(
        "a secret has at most {MAX_BYTES} bytes: put large data elsewhere, and a key to it here"
    );
    Problem::with_status(
        413,
        Error::invalid("secret-too-large", message).with("limit_bytes", MAX_BYTES),
    )
}
