//! The captured output of workloads: plain files that keep every byte.
//!
//! A workload's `logs` folder holds numbered segments, `00000001.log` and on, of lines in the CRI
//! log format: `TIME stdout|stderr F|P BYTES`. `F` ends a line of the program; `P` is a part of a
//! line that goes on, because it is long or because the program paused in it. Joining the parts
//! of one stream, with a line feed after each `F`, gives exactly what the program wrote.
//!
//! All tries of a workload write to one log, one after the other; only a shim writes. A cursor,
//! `SEGMENT.OFFSET`, names a place between two lines for as long as the log exists. What is gone
//! by rotation, or could not be written, is said in the log or to its reader, never passed over.

pub(crate) mod backward;
pub(crate) mod follow;
pub mod limits;
pub(crate) mod line;
pub(crate) mod reader;
pub(crate) mod segment;
pub(crate) mod split;
pub(crate) mod writer;

pub use limits::LogLimits;
