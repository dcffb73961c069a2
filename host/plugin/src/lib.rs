//! placeholder
pub mod driver;
pub use driver::{Driver, Drivers};
