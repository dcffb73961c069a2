//! Workloads: from what is asked for to an item, and from an item to what is shown.
//!
//! [`admit`] judges a spec, [`change`] decides what a verb does to an intent, [`mod@view`] shows,
//! [`glance`] looks at many; all four are pure. [`judge`] puts together what is against a spec,
//! [`dry`] says it; [`submit`] carries a request out in one transaction, [`mod@create`] and [`apply`]
//! are what is written in it.

pub(crate) mod admit;
mod apply;
mod change;
mod create;
mod dry;
mod find;
mod glance;
mod judge;
mod names;
mod submit;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use apply::tombstone;
pub(crate) use change::{Verb, removing};
pub(crate) use dry::Admission;
pub(crate) use find::{Found, find};
pub(crate) use glance::Glance;
pub(crate) use view::{detail, view};
