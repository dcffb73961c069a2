//! What can be asked of swaps.

use std::fs::File;

use async_trait::async_trait;
use bytes::Bytes;
use fleet_model::swap::{Adoption, Quarantined, SwapEvent, SwapReport, SwapRun, SwapWay};
use fleet_model::{Error, Name};
use tokio::sync::broadcast;

/// A component that somebody gives to the host.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its bytes.
    pub component: Bytes,
    /// The text of its manifest; absent = the one that is in force stays.
    pub manifest: Option<String>,
}

/// How it is to be put in place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SwapOptions {
    /// Whether it is to serve.
    pub run: SwapRun,
    /// Whether there must be a way back.
    pub way: SwapWay,
    /// What it must know.
    pub adoption: Adoption,
    /// What the asker calls the request: it stands in the report.
    pub request: Option<String>,
}

/// Swaps of plugins, asked for by people and programs.
#[async_trait]
pub trait Swaps: Send + Sync + 'static {
    /// Puts a component in the place of the active one. Returns when it was rejected, or serves and
    /// the old code has answered its last call. A caller that goes away changes nothing.
    ///
    /// # Errors
    /// Where nothing was begun: `not-found` (`no-plugin`), `conflict` (`swap-under-way`,
    /// `already-active`, `quarantined`), `invalid` (`too-large`, `bad-manifest`).
    async fn swap(
        &self,
        plugin: &Name,
        upload: Upload,
        options: SwapOptions,
    ) -> Result<SwapReport, Error>;

    /// Puts the last one back that had proven itself, and quarantines the one that serves. What the
    /// asker calls the `request` stands in the report.
    ///
    /// # Errors
    /// Where nothing was begun: `not-found` (`no-plugin`), `conflict` (`swap-under-way`,
    /// `nothing-to-roll-back-to`, `rollback-off`).
    async fn rollback(&self, plugin: &Name, request: Option<String>) -> Result<SwapReport, Error>;

    /// A file that nobody else can reach, for a component that arrives slowly. It is gone with its
    /// last handle.
    ///
    /// # Errors
    /// `exhausted` (`disk-full`), `unavailable` (`storage`).
    fn spool(&self) -> Result<File, Error>;

    /// Its swaps, the newest first: at most `limit`, and only those before the one with the id
    /// `before`. With them comes the next page's `before`.
    ///
    /// # Errors
    /// `not-found` (`no-plugin`).
    fn history(
        &self,
        plugin: &Name,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<SwapReport>, Option<u64>), Error>;

    /// Everything that is not taken again until somebody allows it.
    fn quarantined(&self) -> Vec<Quarantined>;

    /// Allows a component again, by its digest or the first 8 or more digits of it. Nothing is swapped
    /// by that. Returns what was allowed.
    ///
    /// # Errors
    /// `not-found` (`not-quarantined`), `conflict` (`several-digests`), `invalid` (`bad-digest`), and
    /// `exhausted` or `unavailable` when it cannot be written down.
    async fn unquarantine(&self, digest: &str) -> Result<Vec<Quarantined>, Error>;

    /// What happens from now on. A slow reader loses the oldest of them.
    fn events(&self) -> broadcast::Receiver<SwapEvent>;
}
