//! How far the engine is with fetching an image.
//!
//! The host reads the engine's long answer and gives the latest lines of it; each is a document about one
//! layer, or about the whole.

use std::collections::BTreeMap;

use fleet_sdk::driver::Progress;
use fleet_sdk::{Error, ErrorKind};
use serde::Deserialize;

use crate::answer::Answer;
use crate::refusal::{self, Doing};

/// How soon to ask again.
const AGAIN_MS: u32 = 500;
/// How soon to fetch again what was fetched and is gone.
const FETCH_AGAIN_MS: u32 = 10_000;

/// What came of a pull so far.
#[derive(Debug, PartialEq)]
pub(crate) enum Pulled {
    /// The image should be there.
    Done,
    /// Ask again.
    Under(Progress),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Line {
    status: String,
    id: String,
    progress_detail: Detail,
    error: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    current: Option<u64>,
    total: Option<u64>,
}

/// Reads the answer to a pull of `image`.
///
/// # Errors
/// Where it failed: `image-missing`, `pull-failed` and the like.
pub(crate) fn read(image: &str, answer: &Answer) -> Result<Pulled, Error> {
    let lines = lines(&answer.body);
    let failed = lines.iter().rev().find(|line| !line.error.is_empty());
    if let Some(line) = failed {
        return Err(named(image, refusal::told(Doing::Pull, 500, &line.error)));
    }
    match (answer.job.as_deref(), answer.status) {
        (Some("running"), _) | (None, 202) => Ok(Pulled::Under(progress(image, &lines))),
        (Some("cut-short"), _) => Err(Error::new(
            ErrorKind::Unavailable,
            "pull-cut-short",
            format!("the engine broke off while it fetched the image {image}: it is asked again"),
        )),
        (Some("failed"), _) => Err(named(image, refusal::told(Doing::Pull, 500, "it failed"))),
        (_, 200..=299) => Ok(Pulled::Done),
        _ => Err(named(image, refusal::error(Doing::Pull, answer))),
    }
}

/// What an engine does not have and shall not fetch.
pub(crate) fn missing(image: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "image-missing",
        format!(
            "the engine does not have the image {image}: correct `image`, load it into the engine, or set `pull = \"missing\"`"
        ),
    )
}

/// What is said of an image that the engine has not, though it has just fetched it: somebody removed it.
pub(crate) fn gone(image: &str) -> Error {
    let mut error = Error::new(
        ErrorKind::Unavailable,
        "image-gone",
        format!(
            "the engine fetched the image {image} and does not have it any more: it is fetched again"
        ),
    );
    error.retry_after_ms = Some(FETCH_AGAIN_MS);
    error
}

/// The error of a pull that the host did not send: most often the policy does not name the registry.
pub(crate) fn unsent(image: &str, error: Error) -> Error {
    let of_the_name = |(name, at): &(String, String)| name == "at" && at == "query.fromImage";
    if error.code == "refused-by-rule" && error.details.iter().any(of_the_name) {
        return Error {
            code: "registry-not-allowed".to_owned(),
            message: format!(
                "the image {image} is not fetched, for the policy of the engine does not name its registry: load it \
                 into the engine (`docker pull {image}`), or add the registry to a copy of docker.policy.toml"
            ),
            ..error
        };
    }
    error
}

fn named(image: &str, mut error: Error) -> Error {
    error.message = format!("the image {image} cannot be fetched: {}", error.message);
    error
}

/// The lines that can be read; a line that cannot says nothing.
fn lines(body: &[u8]) -> Vec<Line> {
    body.split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

fn progress(image: &str, lines: &[Line]) -> Progress {
    let mut layers: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for line in lines {
        // Extracting counts anew, so only one of both can be added up.
        if line.status != "Downloading" {
            continue;
        }
        if let (Some(current), Some(total)) =
            (line.progress_detail.current, line.progress_detail.total)
        {
            layers.insert(&line.id, (current.min(total), total));
        }
    }
    let sum = |(done, total): (u64, u64), (more_done, more_total): &(u64, u64)| {
        (
            done.saturating_add(*more_done),
            total.saturating_add(*more_total),
        )
    };
    let done = layers.values().fold((0, 0), sum);
    let doing = lines.iter().rev().find(|line| !line.status.is_empty());
    let doing = doing.map_or_else(String::new, |line| {
        let status: String = line.status.chars().take(80).collect();
        format!(": {}", status.to_lowercase())
    });
    Progress {
        message: format!("fetching {image}{doing}"),
        done: (done.1 > 0).then_some(done),
        retry_after_ms: AGAIN_MS,
    }
}

#[cfg(test)]
mod tests;
