//! Which node a workload goes to, and why not to another. [`mod@plan`] is pure; [`mod@candidates`] is what it
//! looks at. Carrying it out is one row in the store, so there is no executor here and no lock: nodes
//! do not wait for each other.

mod candidates;
mod obstacle;
mod plan;

#[cfg(test)]
mod tests;

pub(crate) use candidates::{candidates, clashes};
pub(crate) use plan::{Place, Plan, Wish, holds, plan};
