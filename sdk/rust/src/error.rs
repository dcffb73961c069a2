//! Errors by their kind.
//!
//! The host decides on the kind alone, programs match the code, people read the message: so each
//! error has all three, and the message ends with what to do.

use crate::{Error, ErrorKind};

impl Error {
    /// An error of any kind. `code` is stable and kebab-case; `message` says what is wrong and
    /// what to do about it.
    #[must_use]
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            retry_after_ms: None,
            details: Vec::new(),
        }
    }

    /// The request itself is wrong: the same again fails again.
    #[must_use]
    pub fn invalid(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, message)
    }

    /// This plugin or host cannot do it.
    #[must_use]
    pub fn unsupported(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, code, message)
    }

    /// A bug; it counts against the plugin.
    #[must_use]
    pub fn internal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, code, message)
    }

    /// Whether what was named does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }
}
