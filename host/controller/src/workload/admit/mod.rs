//! Whether a spec can be accepted: every reason against it at once, each with a pointer to where in
//! the spec it is (RFC 6901). Pure.
//!
//! | room | what it judges |
//! |---|---|
//! | `words` | command, environment, labels, and the variables in them |
//! | `sizes` | how many of each, and how large |
//! | `files` | paths and contents of files |
//! | `limits` | limits and ttl |
//! | `secrets` | whether the secrets it names are there |
//! | `config` | the backend's own part, by the backend's schema |

mod config;
mod files;
mod limits;
mod secrets;
mod sizes;
mod words;

pub(crate) use words::reserved;

use fleet_model::Error;
use fleet_model::workload::WorkloadSpec;

use crate::api::shorten;

pub(crate) use config::Schemas;
pub(crate) use limits::ttl;
pub(crate) use secrets::secrets;

/// More reasons than this help nobody.
const MAX_REASONS: usize = 20;

/// Judges what the host owns, as far as the spec alone shows it.
pub(crate) fn spec(spec: &WorkloadSpec) -> Vec<Error> {
    let rooms = [words::judge, sizes::judge, files::judge, limits::judge];
    let mut reasons: Vec<_> = rooms.iter().flat_map(|judge| judge(spec)).collect();
    reasons.truncate(MAX_REASONS);
    reasons
}

/// A reason, with the place in the spec that it is about.
fn at(pointer: impl ToString, error: Error) -> Error {
    error.with("pointer", pointer.to_string())
}

/// A key as part of a JSON pointer (RFC 6901, section 3).
fn escape(key: &str) -> String {
    shorten(key).replace('~', "~0").replace('/', "~1")
}
