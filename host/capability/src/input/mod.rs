//! Commands: bytes for a program's standard input, each given once.
//!
//! The shim holds the program's stdin, a pipe that stays open. The host hands it commands over a
//! socket in the slot; the shim writes each into the workload's journal before it answers, so a
//! command that was taken outlives host, shim and try.
//!
//! * **Nothing is given twice.** A command is known by its call, the client's key, for the whole
//!   workload. It is marked as begun, durably, before the first of its bytes goes into the pipe, and
//!   what was begun is never written again, by no shim and to no try. There exactly once ends: what
//!   a program does with the bytes is its own.
//! * **What was taken and not begun goes to the next try** of the same generation. One that was meant
//!   for an older generation is dropped, and the workload's log says so.
//! * **The order is the order in which commands were taken.**
//!
//! The journal is `WORKLOAD/input/journal`, made with the first command: lines of JSON,
//!
//! * `{"take":{"number":N,"call":KEY,"digest":SHA256,"generation":G,"at_ms":T,"bytes":BASE64}}`, without
//!   `bytes` when it was begun or dropped before the journal was last put in place anew;
//! * `{"begin":[N,...]}` and `{"drop":[N,...]}`.
//!
//! A call is remembered for a day, but of more than [`limits::CALLS`] only the newest.

pub(crate) mod book;
pub(crate) mod journal;
pub mod limits;
pub(crate) mod message;
pub(crate) mod refusal;
