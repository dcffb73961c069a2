//! The operator's settings: bugs of the plugin itself, so that what looks for bugs can be tried.
//!
//! They are read where a runtime is made and kept in its handle, and again where a call is about no
//! runtime or about one whose handle cannot be read.

use fleet_sdk::Error;
use fleet_sdk::ErrorKind;
use serde::{Deserialize, Serialize};

/// What the manifest's `[settings-schema]` describes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// What it does wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bug: Option<Bug>,
    /// Whether its runtimes are also in a register outside of their handles ([`crate::register`]).
    #[serde(skip_serializing_if = "is_off")]
    pub(crate) listed: bool,
    /// From this Unix time on, in milliseconds, it traps where a runtime is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) traps_from_ms: Option<u64>,
}

/// Something done wrong. The manifest says what each does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bug {
    ConfigAny,
    DestroyGone,
    ExecTwice,
    ExitCode,
    KillIgnored,
    LeavesBehind,
    ListCursor,
    LogsCursor,
    LogsSince,
    LogsTail,
    RecoverClaims,
    RecoverOrder,
    ResizeAny,
    SendStopped,
    SignalUnknown,
    StartAgain,
    StatsFall,
    StopWaits,
    WatchSilent,
}

impl Settings {
    /// As the operator set them; none where the plugin was not granted to read them.
    pub(crate) fn get() -> Result<Self, Error> {
        match fleet_sdk::config::get() {
            Ok(text) => serde_json::from_str(&text).map_err(|error| {
                Error::invalid("settings", format!("the settings cannot be used: {error}"))
            }),
            Err(error) if error.kind == ErrorKind::Denied => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing is set. By reference, as serde asks it.
    pub(crate) fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it traps by now.
    pub(crate) fn traps(self, now_ms: u64) -> bool {
        self.traps_from_ms.is_some_and(|from_ms| from_ms <= now_ms)
    }

    /// Whether it does this wrong.
    pub(crate) fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

fn is_off(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words after `name = [` in the manifest.
    fn listed() -> Vec<&'static str> {
        let manifest = include_str!("../mock.toml");
        let (_, rest) = manifest.split_once("enum = [").unwrap();
        let (list, _) = rest.split_once(']').unwrap();
        list.split(',')
            .map(|word| word.trim().trim_matches('"'))
            .filter(|word| !word.is_empty())
            .collect()
    }

    #[test]
    fn the_manifest_lists_and_describes_every_bug() {
        let manifest = include_str!("../mock.toml");
        for name in listed() {
            let settings: Settings =
                serde_json::from_value(serde_json::json!({ "bug": name })).unwrap();
            let written = serde_json::to_value(settings).unwrap();
            assert_eq!(written, serde_json::json!({ "bug": name }));
            assert!(manifest.contains(&format!("#   {name} ")), "{name}");
        }
        assert_eq!(listed().len(), 19);
    }

    #[test]
    fn nothing_is_written_of_what_is_not_set() {
        let none = serde_json::to_value(Settings::default()).unwrap();
        assert_eq!(none, serde_json::json!({}));
    }
}
