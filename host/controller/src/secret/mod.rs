//! Secrets: values that workloads use and nobody is shown.
//!
//! A value comes in once, over the API, and is sealed before it is written down ([`seal`]); it goes
//! out only to a node that has a workload which names it ([`answer`]). In between it is nowhere: not in
//! an event, an answer, an error, a log line or an idempotency record. The key is not in the store
//! either, so a copy of the database gives nothing away ([`key`]).
//!
//! A controller without the key goes on with everything else, and says of secrets what is missing.

mod answer;
mod key;
mod seal;
mod submit;
mod usage;

#[cfg(test)]
mod tests;

pub(crate) use answer::answers;
pub use key::SealingKey;
pub(crate) use key::trouble;
pub(crate) use submit::{InUse, Secret};
pub(crate) use usage::references;

/// The largest value, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
