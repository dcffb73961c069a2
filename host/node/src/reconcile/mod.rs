//! Makes one workload what its intent says.
//!
//! [`plan`] decides: a pure function from what is recorded, what was last observed and the time to
//! one [`plan::Step`]. [`execute`] does that step: one call to the backend at most, and one
//! transaction that records it. [`supervise`] repeats the two, and sleeps in between until
//! something changes: the intent, the runtime (its watch), a backend, or the time.
//!
//! A step is recorded before the next one's effect, so after a crash the same step is planned again
//! with the same op, and an op has one effect.

pub mod execute;
pub mod live;
pub mod plan;
pub mod recover;
pub mod restart;
pub mod status;
pub mod supervise;
mod transition;

#[cfg(test)]
mod plan_tests;
