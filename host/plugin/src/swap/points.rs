//! The moments of a swap at which something has just become so, or is about to.
//!
//! The product passes [`NoPoints`]. A test passes its own and ends the host where it likes, so that
//! what is promised is tried at every arrow.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SwapPoint {
    /// A newcomer is read; nothing of it is kept.
    Discovered,
    /// Component and manifest are in the content store.
    Copied,
    /// Bytes, manifest and permissions are sound.
    Verified,
    /// There is code for it.
    Compiled,
    /// Its imports are there.
    Linked,
    /// It has said what it is.
    Probed,
    /// It knows what is running.
    Adopted,
    /// It is about to be written down as the active one.
    BeforeDurable,
    /// It is written down; the old code still serves.
    Durable,
    /// It serves; the old code may have calls under way.
    Published,
    /// The old code has answered its last call.
    Drained,
    /// The report is written down.
    Recorded,
    /// Its probation is over; that is not written down.
    BeforeProven,
    /// It is written down as proven.
    Proven,
    /// The one before it is about to be written down as the active one.
    RollbackBeforeDurable,
    /// The one before it is written down; the bad one still serves.
    RollbackDurable,
    /// The one before it serves again.
    RollbackPublished,
    /// The report of that is written down.
    RollbackRecorded,
}

impl SwapPoint {
    /// All of them, in the order in which a plugin meets them.
    pub const ALL: [Self; 18] = [
        Self::Discovered,
        Self::Copied,
        Self::Verified,
        Self::Compiled,
        Self::Linked,
        Self::Probed,
        Self::Adopted,
        Self::BeforeDurable,
        Self::Durable,
        Self::Published,
        Self::Drained,
        Self::Recorded,
        Self::BeforeProven,
        Self::Proven,
        Self::RollbackBeforeDurable,
        Self::RollbackDurable,
        Self::RollbackPublished,
        Self::RollbackRecorded,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discovered => "discovered",
            Self::Copied => "copied",
            Self::Verified => "verified",
            Self::Compiled => "compiled",
            Self::Linked => "linked",
            Self::Probed => "probed",
            Self::Adopted => "adopted",
            Self::BeforeDurable => "before-durable",
            Self::Durable => "durable",
            Self::Published => "published",
            Self::Drained => "drained",
            Self::Recorded => "recorded",
            Self::BeforeProven => "before-proven",
            Self::Proven => "proven",
            Self::RollbackBeforeDurable => "rollback-before-durable",
            Self::RollbackDurable => "rollback-durable",
            Self::RollbackPublished => "rollback-published",
            Self::RollbackRecorded => "rollback-recorded",
        }
    }
}

impl fmt::Display for SwapPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no moment of a swap: write one of their names, and `:N` behind it for the Nth time"
)]
pub struct NoSuchPoint(String);

impl FromStr for SwapPoint {
    type Err = NoSuchPoint;

    fn from_str(text: &str) -> Result<Self, NoSuchPoint> {
        Self::ALL
            .into_iter()
            .find(|point| point.as_str() == text)
            .ok_or_else(|| NoSuchPoint(text.to_owned()))
    }
}

/// What goes along with a swap through its moments.
#[async_trait]
pub trait SwapPoints: Send + Sync + 'static {
    /// The swap is at this point. Need not come back.
    async fn reach(&self, point: SwapPoint) {
        let _ = point;
    }
}

/// Nothing happens at any point.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPoints;

impl SwapPoints for NoPoints {}

/// Ends its own process at one of them, as a power failure would: `durable`, or `durable:3` for the
/// third time. It says so on stderr before.
#[derive(Debug)]
pub struct KillAt {
    point: SwapPoint,
    nth: u64,
    met: Mutex<BTreeMap<SwapPoint, u64>>,
}

impl FromStr for KillAt {
    type Err = NoSuchPoint;

    fn from_str(text: &str) -> Result<Self, NoSuchPoint> {
        let (point, nth) = match text.split_once(':') {
            Some((point, nth)) => (
                point,
                nth.parse().map_err(|_| NoSuchPoint(text.to_owned()))?,
            ),
            None => (text, 1),
        };
        Ok(Self {
            point: point.parse()?,
            nth,
            met: Mutex::default(),
        })
    }
}

impl KillAt {
    /// Whether it is the time.
    fn is_due(&self, point: SwapPoint) -> bool {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let times = met.entry(point).or_default();
        *times += 1;
        point == self.point && *times == self.nth
    }
}

#[async_trait]
impl SwapPoints for KillAt {
    async fn reach(&self, point: SwapPoint) {
        if !self.is_due(point) {
            return;
        }
        use std::io::Write as _;
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(std::io::stderr(), "reached {point}");
        let this = rustix::process::getpid();
        let _ = rustix::process::kill_process(this, rustix::process::Signal::KILL);
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_known_by_its_name() {
        for point in SwapPoint::ALL {
            assert_eq!(point.to_string().parse(), Ok(point));
        }
        assert!("nowhere".parse::<SwapPoint>().is_err());
    }

    #[test]
    fn it_is_due_once_and_at_its_time() {
        let kill: KillAt = "durable:2".parse().unwrap();
        let due = [
            SwapPoint::Durable,
            SwapPoint::Published,
            SwapPoint::Durable,
            SwapPoint::Durable,
        ]
        .map(|point| kill.is_due(point));
        assert_eq!(due, [false, false, true, false]);
        for bad in ["", "durable:", "durable:x", "x:1"] {
            assert!(bad.parse::<KillAt>().is_err(), "{bad}");
        }
    }
}
