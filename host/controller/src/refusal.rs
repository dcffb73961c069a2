//! Why a request was not carried out: one reason, or all that could be found at once.

use fleet_model::Error;
use fleet_store::WriteError;

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The first reason: its kind decides the status, its code is the answer's.
    pub(crate) first: Error,
    /// Further reasons.
    pub(crate) more: Vec<Error>,
}

impl From<Error> for Refusal {
    fn from(first: Error) -> Self {
        Self {
            first,
            more: Vec::new(),
        }
    }
}

impl Refusal {
    /// Refuses if there is a reason.
    pub(crate) fn if_any(reasons: Vec<Error>) -> Result<(), Self> {
        let mut reasons = reasons.into_iter();
        match reasons.next() {
            Some(first) => Err(Self {
                first,
                more: reasons.collect(),
            }),
            None => Ok(()),
        }
    }
}

/// What a failed write means for the one who asked.
pub(crate) fn write_failed(error: WriteError<Error>) -> Error {
    match error {
        WriteError::Refused(reason) => reason,
        WriteError::Full(_) => Error::unavailable(
            "disk-full",
            "the controller's disk is full and nothing was changed: free some space in its data folder, then try again",
        ),
        WriteError::Busy(_) => Error::unavailable(
            "store-busy",
            "another process holds the controller's database and nothing was changed: end that process, then try again",
        ),
        WriteError::Closed => Error::unavailable(
            "host-stopping",
            "the host is stopping and nothing was changed: try again when it is back",
        ),
        WriteError::Failed(_) => Error::unavailable(
            "store-failed",
            "the controller's database failed and whether this was written is unknown: the host ends; \
             when it is back, send the request again with the same Idempotency-Key",
        ),
        WriteError::Panicked(_) | WriteError::Encode { .. } => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a transaction is at fault"
            );
            Error::internal(
                "transaction",
                "the controller failed to make this change and nothing was changed: see its log",
            )
        }
    }
}
