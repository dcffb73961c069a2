//! `/api/v1/plugins` and `/api/v1/quarantine`: what the nodes can do, and other code for it while they work.
//!
//! A swap is its node's: a component runs through here piece by piece, and the report comes back. When
//! the client goes away the swap goes on, and its report stands in the plugin's history. The client's key
//! goes to the node, which begins one swap for it however often it is asked.

mod answer;
mod ask;
mod component;
mod heard;
mod history;
mod list;
mod place;
mod quarantine;
mod swap;

pub(super) use history::{__path_history, history};
pub(super) use list::{__path_list, __path_show, list, show};
pub(super) use quarantine::{__path_unquarantine, unquarantine};
pub(super) use swap::{__path_rollback, __path_swap, rollback, swap};
