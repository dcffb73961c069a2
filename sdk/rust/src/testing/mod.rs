//! Plugins tested by plain `cargo test`: fakes of all imports, and a harness for tables.
//!
//! ```ignore
//! testing::table::<MyBackend>(&[
//!     // what      [config]             steps                 what comes of it
//!     ("it runs",  json!({}),           "create start",       "running"),
//!     ("code 3",   json!({}),           "create start end=3", "exited 3"),
//!     ("a typo",   json!({"lan": 1}),   "create",             "error invalid config"),
//! ]);
//! ```
//!
//! Each test has a made-up host of its own, that of its thread: [`with_host`] sets it up and looks at it.
//!
//! Its functions stop at the first surprise, as a test does.
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a surprise is a failing test"
)]

pub(crate) mod fakes;
mod host;
mod table;

pub use host::{Answer, Host, Program, Seen, reset, with_host};
pub use table::{op, page, table, workload};
