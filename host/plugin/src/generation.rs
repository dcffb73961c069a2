//! A plugin generation: one component, linked and permitted, and never changed again.
//!
//! A backend points at one; putting another in its place is one store of a pointer. A call takes
//! the generation once, when it begins, and keeps it to its end.

use std::sync::Arc;

use fleet_model::driver::Description;

use crate::call::Callee;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::state::Scope;

/// What serves calls until it is replaced.
pub(crate) struct PluginGeneration {
    /// Which component it is.
    pub(crate) digest: Digest,
    /// What came with it.
    pub(crate) manifest: Manifest,
    /// Its code.
    pub(crate) callee: Callee,
    /// What its calls may do.
    pub(crate) scope: Arc<Scope>,
    /// What it said of itself.
    pub(crate) description: Arc<Description>,
}
