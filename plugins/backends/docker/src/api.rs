//! Which version of the engine's API is spoken.
//!
//! All calls go to a version's own paths, so an engine that is newer than this plugin answers as it was
//! written for. 1.41 is the oldest with all that is needed (Docker 20.10); 1.44 is the oldest that
//! engines from Docker 29 on still speak. Both are asked for the same things.

use serde::{Deserialize, Serialize};

use crate::answer::Answer;

/// A version this plugin speaks, oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Api {
    #[default]
    #[serde(rename = "1.41")]
    V1_41,
    #[serde(rename = "1.44")]
    V1_44,
}

/// All of them, in the order in which they are tried.
const ALL: [Api; 2] = [Api::V1_41, Api::V1_44];

impl Api {
    /// As the engine writes it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::V1_41 => "1.41",
            Self::V1_44 => "1.44",
        }
    }

    /// The path `rest` of this version.
    pub(crate) fn path(self, rest: &str) -> String {
        format!("/v{}{rest}", self.text())
    }

    fn number(self) -> Version {
        match self {
            Self::V1_41 => Version(1, 41),
            Self::V1_44 => Version(1, 44),
        }
    }

    /// The version to go on with after this answer to a call in this one, if the answer is that the
    /// engine does not speak it.
    pub(crate) fn instead(self, answer: &Answer) -> Option<Self> {
        let text = answer.message();
        let is_not_spoken = answer.status == 400
            && text.contains("client version")
            && (text.contains("is too old") || text.contains("is too new"));
        ALL.into_iter().find(|api| is_not_spoken && *api != self)
    }

    /// The one to speak with an engine that says it speaks `least` to `most`.
    ///
    /// # Errors
    /// Why none: for people.
    pub(crate) fn choose(least: &str, most: &str) -> Result<Self, String> {
        let Some(most_number) = Version::parse(most) else {
            return Err(format!(
                "the engine says that it speaks API version `{most}`, which is none: is a Docker engine behind the endpoint?"
            ));
        };
        let least_number = Version::parse(least).unwrap_or(Version(0, 0));
        let spoken = |api: &Api| (least_number..=most_number).contains(&api.number());
        if let Some(api) = ALL.into_iter().find(spoken) {
            return Ok(api);
        }
        Err(if most_number < ALL[0].number() {
            format!(
                "the engine is too old: it speaks API {most} and at least {} is needed (Docker 20.10 or newer): update it",
                ALL[0].text()
            )
        } else {
            format!(
                "the engine is too new: it speaks API {least} to {most} and this plugin {}: update the plugin",
                ALL.map(Self::text).join(" and ")
            )
        })
    }
}

/// A version of the API: numbers are compared, not texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_both_speak_is_chosen() {
        for (least, most, want) in [
            ("1.12", "1.41", Ok(Api::V1_41)),
            ("1.24", "1.52", Ok(Api::V1_41)),
            ("1.44", "1.52", Ok(Api::V1_44)),
            ("", "1.41", Ok(Api::V1_41)),
            ("1.12", "1.40", Err("too old")),
            ("1.12", "1.9", Err("too old")),
            ("1.45", "1.60", Err("too new")),
            ("2.0", "2.1", Err("too new")),
            ("1.12", "latest", Err("which is none")),
            ("1.12", "", Err("which is none")),
        ] {
            match (Api::choose(least, most), want) {
                (Ok(api), want) => assert_eq!(Ok(api), want, "{least} {most}"),
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
                (Err(reason), Ok(_)) => panic!("{least} {most}: {reason}"),
            }
        }
    }

    #[test]
    fn another_version_is_tried_where_the_engine_says_so_and_only_there() {
        let old = "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version\n";
        let new = r#"{"message":"client version 1.44 is too new. Maximum supported API version is 1.41"}"#;
        for (api, status, body, want) in [
            (Api::V1_41, 400, old, Some(Api::V1_44)),
            (Api::V1_44, 400, new, Some(Api::V1_41)),
            (Api::V1_41, 500, old, None),
            (
                Api::V1_41,
                400,
                r#"{"message":"invalid reference format"}"#,
                None,
            ),
            (Api::V1_41, 201, "{}", None),
        ] {
            assert_eq!(
                api.instead(&Answer::new(status, body.as_bytes())),
                want,
                "{body}"
            );
        }
    }

    #[test]
    fn paths_begin_with_the_version() {
        assert_eq!(Api::V1_41.path("/info"), "/v1.41/info");
    }
}
