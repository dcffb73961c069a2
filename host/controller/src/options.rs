//! What the controller is told when it is opened.

use fleet_model::Error;

use crate::{OpenError, SealingKey};

/// How a controller behaves.
#[derive(Clone)]
pub struct ControllerOptions {
    /// Whoever shows this at the API's door may do everything. Kept as a hash only.
    pub admin_token: String,
    /// The host's version, for people.
    pub host_version: String,
    /// How often a node says that it lives, in milliseconds.
    pub heartbeat_ms: u64,
    /// Silence after which a node counts as unknown, in milliseconds.
    pub unknown_after_ms: u64,
    /// The key that seals secrets, or why there is none ([`SealingKey::missing`]): then all goes on but
    /// secrets.
    pub sealing_key: Result<SealingKey, Error>,
    /// The kernel's id of this boot of the machine: the boot clock counts within it. Empty where it is
    /// not known: then the wall clock decides when a workload's time is over.
    pub boot: String,
    /// What it takes on at most.
    pub limits: Limits,
}

impl ControllerOptions {
    /// The defaults: a heartbeat every 5 s, unknown after 15 s; no sealing key, no boot.
    pub fn new(admin_token: impl Into<String>, host_version: impl Into<String>) -> Self {
        Self {
            admin_token: admin_token.into(),
            host_version: host_version.into(),
            heartbeat_ms: 5_000,
            unknown_after_ms: 15_000,
            sealing_key: Err(SealingKey::missing(
                "this host was started without a sealing key",
            )),
            boot: String::new(),
            limits: Limits::default(),
        }
    }

    /// Whether a node that lives is heard in time.
    ///
    /// # Errors
    /// [`OpenError::Heartbeat`].
    pub fn check_heartbeat(&self) -> Result<(), OpenError> {
        let Self {
            heartbeat_ms,
            unknown_after_ms,
            ..
        } = *self;
        if heartbeat_ms == 0 || heartbeat_ms > unknown_after_ms / 2 {
            return Err(OpenError::Heartbeat {
                heartbeat_ms,
                unknown_after_ms,
            });
        }
        Ok(())
    }
}

/// The token is for one pair of eyes.
impl std::fmt::Debug for ControllerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControllerOptions")
            .field("host_version", &self.host_version)
            .field("heartbeat_ms", &self.heartbeat_ms)
            .field("unknown_after_ms", &self.unknown_after_ms)
            .field("sealing_key", &self.sealing_key)
            .field("boot", &self.boot)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What a controller takes on at most.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
    /// Sessions at once; further nodes wait at the door.
    pub sessions: usize,
    /// How long a handshake may take, in milliseconds.
    pub handshake_ms: u64,
    /// The newest events that are kept.
    pub events: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 * 1024 * 1024,
            sessions: 10_000,
            handshake_ms: 10_000,
            events: 100_000,
        }
    }
}
