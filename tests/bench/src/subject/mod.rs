//! The product.

pub(crate) mod containers;
pub(crate) mod copies;
pub(crate) mod host;
pub(crate) mod plugins;
pub(crate) mod running;
pub(crate) mod versions;
pub(crate) mod workload;
