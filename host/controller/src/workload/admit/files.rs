//! Paths and contents of files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_model::Error;
use fleet_model::path::check_path;
use fleet_model::spec::FileContent;
use fleet_model::workload::WorkloadSpec;

use super::{at, escape};
use crate::api::shorten;

/// Files of a workload.
const FILES: usize = 256;
/// What is in all of them, in bytes. Of a secret only the node knows how large it is.
const BYTES: usize = 1024 * 1024;

pub(super) fn judge(spec: &WorkloadSpec) -> Vec<Error> {
    let mut reasons = Vec::new();
    let mut bytes = 0;
    for (path, file) in &spec.files {
        let pointer = format!("/files/{}", escape(path));
        if let Err(reason) = check_path(path) {
            reasons.push(at(&pointer, reason));
        } else if let Some(folder) = folders(path).find(|folder| spec.files.contains_key(*folder)) {
            let reason = Error::invalid(
                "file-clash",
                format!(
                    "`{0}` is a file of this workload, so there cannot be a file in a folder `{0}`: rename one of them",
                    shorten(folder)
                ),
            );
            reasons.push(at(&pointer, reason));
        }
        bytes += match &file.content {
            FileContent::Text(text) => text.len(),
            FileContent::Base64(text) => STANDARD.decode(text).map_or_else(
                |error| {
                    reasons.push(at(format!("{pointer}/base64"), not_base64(&error)));
                    0
                },
                |content| content.len(),
            ),
            FileContent::Secret(_) => 0,
        };
    }
    if spec.files.len() > FILES {
        let reason = Error::invalid(
            "too-many",
            format!(
                "there are {} files, and a workload has at most {FILES}: put them into an archive",
                spec.files.len()
            ),
        );
        reasons.push(at("/files", reason));
    }
    if bytes > BYTES {
        let reason = Error::invalid(
            "files-too-large",
            format!(
                "the files have {bytes} bytes together, and a workload brings at most {BYTES}: let it fetch what is larger"
            ),
        );
        reasons.push(at("/files", reason));
    }
    reasons
}

/// The folders that a path is in, the outermost first.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .filter_map(|(end, _)| path.get(..end))
}

fn not_base64(error: &base64::DecodeError) -> Error {
    Error::invalid(
        "invalid-base64",
        format!(
            "this is not base64 ({error}): write it as RFC 4648, section 4, has it, padded and without line breaks"
        ),
    )
}
