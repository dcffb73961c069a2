//! One file per command: its arguments, what it asks the API, and how it shows the answer. What a
//! person reads is made by pure functions from the API's objects, and tested as such.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod events;
pub(crate) mod plugin;
pub(crate) mod secret;
pub(crate) mod table;
pub(crate) mod workload;
