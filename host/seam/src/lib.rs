//! What a simulation replaces: the clock and the source of random numbers.
//!
//! Nothing else in the host reads a clock or draws a random number; both come in as
//! [`Clock`] and [`Entropy`]. The transport's seam is in `fleet-protocol`, the store's in
//! `fleet-store`.

mod clock;
mod entropy;
mod ids;

pub use clock::{Clock, SimClock, SystemClock};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use ids::Ids;
