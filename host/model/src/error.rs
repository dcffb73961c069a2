//! The one error shape, shared by plugins, sessions and the API.
//!
//! The host decides on `kind` alone; `code` is stable text for people and programs to match,
//! `message` says what is wrong and what to do about it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What sort of failure this is. Decides retry and HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ErrorKind {
    /// The request itself is wrong; the same again fails again.
    Invalid,
    /// What was named does not exist. Success for stop, destroy and remove.
    NotFound,
    /// It clashes with what exists.
    Conflict,
    /// Not allowed; the message names the line that would allow it.
    Denied,
    /// This host or plugin cannot do it.
    Unsupported,
    /// Not reachable now; worth another try.
    Unavailable,
    /// It took too long; worth another try.
    Deadline,
    /// A limit or a resource ran out; worth another try.
    Exhausted,
    /// A bug, in a plugin or in the host.
    Internal,
    /// A kind this version does not know.
    #[serde(other)]
    Other,
}

impl ErrorKind {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Deadline | Self::Exhausted)
    }
}

/// A failure, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Error {
    /// What sort of failure.
    pub kind: ErrorKind,
    /// Stable, kebab-case, for matching: `name-taken`, `no-launcher`.
    pub code: String,
    /// For people: what is wrong and what to do.
    pub message: String,
    /// When another try makes sense, in milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    /// More facts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl Error {
    /// An error of any kind.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            retry_after_ms: None,
            details: BTreeMap::new(),
        }
    }

    /// [`ErrorKind::Invalid`].
    pub fn invalid(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, message)
    }

    /// [`ErrorKind::NotFound`].
    pub fn not_found(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    /// [`ErrorKind::Conflict`].
    pub fn conflict(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, message)
    }

    /// [`ErrorKind::Denied`].
    pub fn denied(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, code, message)
    }

    /// [`ErrorKind::Unsupported`].
    pub fn unsupported(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, code, message)
    }

    /// [`ErrorKind::Unavailable`].
    pub fn unavailable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, code, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, code, message)
    }

    /// The same error with one more fact.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.details.insert(name.into(), value.to_string());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
