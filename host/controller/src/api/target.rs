//! The thing a path names.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use fleet_model::Error;

use super::problem::Problem;

/// The one variable segment of a path.
#[derive(Debug)]
pub(super) struct Target(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(error) => Err(Error::invalid(
                "invalid-path",
                format!("the path cannot be read: {}", error.body_text()),
            )
            .into()),
        }
    }
}
