//! Puts new code in the place of old without a lost call.
//!
//! ```text
//! Discovered -> Verified -> Compiled -> Linked -> Probed -> Adopted -> Active -> Draining -> Retired
//!                  \------------ Rejected(reason) -----------/           \-> RolledBack(reason) -> Quarantined(digest)
//! ```
//!
//! What holds:
//! * A call takes what serves once, when it begins, and is answered once. It ends on the old code, or,
//!   when that takes too long, it is asked of the new code under the same op.
//! * What serves is written down before it serves. After a crash at any moment one generation serves,
//!   and it is the one that is written down.
//! * One newcomer of a plugin is on its way at a time; those of different plugins do not wait for each
//!   other. It runs in a task of its own, so whoever asked for it may go away.
//! * Before it serves, new code can only look. What it makes of what is there decides whether it may.
//! * Only what has proven itself is put back.
//!
//! | to see | look into |
//! |---|---|
//! | what is decided, as pure functions | `plan`, `record` |
//! | the newcomer's way | `newcomer`, `fit`, `adopt`, `probe` |
//! | the switch itself, and the calls under way | `publish`, and `gate`, `backend/ask` beside this folder |
//! | how it proves itself, or not | `probation`, `back`, and `trial` beside this folder |
//! | what is on the disk | `journal`, `record` |
//! | the plugin folder | `mailbox` |
//! | a start | `start` |
//! | what people and programs ask for | `requests`, `options` |

mod adopt;
mod back;
mod fit;
pub(crate) mod journal;
mod kept;
mod live;
pub(crate) mod mailbox;
mod newcomer;
mod options;
mod plan;
mod points;
mod probation;
mod probe;
mod publish;
mod record;
mod report;
mod requests;
mod settings;
pub(crate) mod shared;
mod slot;
pub(crate) mod start;

pub use fleet_model::swap::{Adoption, SwapRun, SwapWay};
pub use live::{Live, LiveHandles, NoHandles};
pub use options::{SwapOptions, Swaps, Upload};
pub use points::{KillAt, NoPoints, NoSuchPoint, SwapPoint, SwapPoints};
pub use settings::{SwapLimits, SwapSettings};
