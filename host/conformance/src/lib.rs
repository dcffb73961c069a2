//! The conformance kit: what a correct backend is, as cases that any component is held to.
//!
//! A [`Kit`] is opened on one component file. It copies the file into a temporary folder, loads it with
//! the host's own plugin host over the machine's own processes, and calls it as a node would: no
//! controller, no node, no network. Each case has a host of its own, so that one may lose it.
//!
//! | to see | look into |
//! |---|---|
//! | what is done and what must come of it | `tests/conformance/NAME/case.toml`, read by `case` |
//! | how a step is done | `stage`, a file per family |
//! | what is compared, without anything being done | `check` |
//! | who plays the parts | `parts` |
//! | from a file to a loaded backend, and its rights | `load`, `grant` |
//! | what a case needs, and why it is skipped | `ability` |
//! | what must not be left | `remains` |
//! | the host a case has | `bench` |

mod ability;
mod bench;
mod case;
mod check;
mod grant;
mod kit;
mod load;
mod parts;
mod remains;
mod report;
mod run;
mod select;
mod stage;

pub use kit::{Kit, KitOptions};
pub use report::{About, CaseReport, Failure, Outcome, Report};
