//! The configuration of a host: `fleet-host.toml`, a variable for every key, and flags for some.
//!
//! Each layer (file, variables, flags) is checked on its own, so that a mistake is answered with the
//! place where it was made; then the highest layer that has a key wins ([`layers`]). What cannot be run
//! with although each value is in order is refused in one place ([`mod@check`]). The commented
//! `fleet-host.toml` is the reference ([`mod@reference`]): a test holds it and the keys together.

mod check;
mod key;
mod layers;
pub(crate) mod reference;
mod settings;
mod swap;
#[cfg(test)]
mod tests;

pub(crate) use check::check;
pub(crate) use layers::{Flags, Source, load};
pub(crate) use settings::{LogFormat, Role, Settings};
