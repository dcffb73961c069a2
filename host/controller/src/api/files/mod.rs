//! `/api/v1/workloads/{name}/files`: what is in a workload's workspace, brought in, out, and changed.
//!
//! Paths are relative to the workspace and are query parameters. The node keeps them inside; bytes run
//! through here piece by piece, as fast as the slower side takes them.

mod ask;
mod change;
mod content;
mod look;
mod range;
mod upload;

pub(super) use change::{
    __path_make_folder, __path_remove, __path_rename, make_folder, remove, rename,
};
pub(super) use content::{__path_read, read};
pub(super) use look::{__path_list, __path_stat, __path_uploaded, list, stat, uploaded};
pub(super) use upload::{__path_write, write};

use fleet_model::Error;

use super::params::Params;

/// A path that must be given.
fn required(params: &mut Params, name: &'static str) -> Result<String, Error> {
    params.text(name)?.ok_or_else(|| {
        Error::invalid(
            "invalid-parameter",
            format!(
                "`{name}` is missing: give it a path in the workspace, as in `{name}=conf/app.toml`"
            ),
        )
        .with("parameter", name)
    })
}
