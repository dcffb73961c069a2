//! What a plugin's author does before there is a component: a project, written from what this binary
//! carries, and its build.
//!
//! Nothing of ours comes from a registry: templates, SDKs and the contract are part of the program
//! ([`embedded`](self)), so a project fits the host that wrote it. The toolchains are the author's own; what
//! is missing is named with how to get it.
//!
//! | to see | look into |
//! |---|---|
//! | the files that are carried | `embedded` |
//! | where they lie in a project | `layout` |
//! | `plugin new`, `plugin sdk` | [`create`], [`renew`] |
//! | what a folder is a project of | [`Project`] |
//! | `plugin build`, a file per language | [`build`](fn@build) |
//! | when to build again | [`Sources`] |
//! | the contract as a page | [`contract`] |
//! | which contracts may not change any more | `frozen`, a test |

mod build;
pub mod contract;
mod dist;
mod embedded;
#[cfg(test)]
mod frozen;
mod language;
mod layout;
mod new;
mod project;
mod sources;
mod tool;

pub use build::build;
pub use dist::Built;
pub use language::Language;
pub use new::{create, renew};
pub use project::Project;
pub use sources::Sources;
pub use tool::Toolbox;

use std::io;
use std::path::Path;

use fleet_model::Error;

/// A failure of this machine, in words that name what was tried.
fn not_done(doing: &str, path: &Path, error: &io::Error) -> Error {
    Error::unavailable(
        "no-access",
        format!("cannot {doing} {}: {error}", path.display()),
    )
}
