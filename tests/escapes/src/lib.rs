//! The corpora of requests against endpoint policies: what must be refused, and what must not.
//!
//! The data lies beside this crate (`docker/`), in the format the README tells. A test reads it with
//! [`Corpus::docker`], fills in the names it has ([`Names`]) and plays it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test data: a failure here is a failing test"
)]

mod change;
mod corpus;
mod names;
mod places;

pub use corpus::{Allowed, Asked, Attempt, Corpus, Expected, Via};
pub use names::Names;
pub use places::Places;
