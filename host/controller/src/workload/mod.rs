//! Workloads: from what is asked for to an item, and from an item to what is shown.
//!
//! [`admit`] judges a spec, [`change`] decides what a verb does to an intent, [`mod@view`] shows; all
//! three are pure. [`submit`] carries a request out in one transaction.

mod admit;
mod change;
mod find;
mod names;
mod submit;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use change::Verb;
pub(crate) use find::{Found, find};
pub(crate) use view::{detail, view};
