//! What is written down of an upload that has not all arrived.

use std::io;

use fleet_model::Error;
use fleet_model::file::Upload;
use serde::{Deserialize, Serialize};

use crate::boot::BootId;

/// What an upload is for, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) path: String,
    size: u64,
    mode: Option<u32>,
    pub(super) sha256: Option<String>,
    /// The boot in which its bytes came.
    boot: BootId,
    /// The boot this is read in.
    #[serde(skip, default = "no_boot")]
    now: Option<BootId>,
}

fn no_boot() -> Option<BootId> {
    BootId::current().ok()
}

impl Note {
    pub(super) fn of(upload: &Upload) -> Result<Self, Error> {
        let boot = BootId::current().map_err(|error| no_proc(&error))?;
        Ok(Self {
            path: upload.path.clone(),
            size: upload.size,
            mode: upload.mode,
            sha256: upload.sha256.clone(),
            now: Some(boot.clone()),
            boot,
        })
    }

    /// Whether it is this upload's. The SHA-256 may be told later than the rest.
    pub(super) fn is_for(&self, upload: &Upload) -> bool {
        let same_digest = match (&self.sha256, &upload.sha256) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            _ => true,
        };
        same_digest
            && (&self.path, self.size, self.mode) == (&upload.path, upload.size, upload.mode)
    }

    /// How many bytes of a file of this length have arrived for certain.
    pub(super) fn counts(&self, length: u64) -> u64 {
        let is_certain = self.now.as_ref() == Some(&self.boot) || self.sha256.is_some();
        if is_certain && length <= self.size {
            length
        } else {
            0
        }
    }
}

fn no_proc(error: &io::Error) -> Error {
    Error::unsupported("no-proc", format!("/proc must be mounted: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload() -> Upload {
        Upload {
            path: "a".into(),
            key: "k".into(),
            offset: 0,
            size: 10,
            sha256: None,
            mode: Some(0o600),
        }
    }

    #[test]
    fn a_key_belongs_to_one_upload() {
        let note = Note::of(&upload()).unwrap();
        assert!(note.is_for(&upload()));
        let digest = |text: &str| Some(text.to_owned());
        let told_later = Upload {
            sha256: digest("AB"),
            ..upload()
        };
        assert!(note.is_for(&told_later));
        let told = Note::of(&told_later).unwrap();
        for (other, fits) in [
            (upload(), true),
            (
                Upload {
                    sha256: digest("ab"),
                    ..upload()
                },
                true,
            ),
            (
                Upload {
                    sha256: digest("cd"),
                    ..upload()
                },
                false,
            ),
            (
                Upload {
                    path: "b".into(),
                    ..upload()
                },
                false,
            ),
            (
                Upload {
                    size: 11,
                    ..upload()
                },
                false,
            ),
            (
                Upload {
                    mode: None,
                    ..upload()
                },
                false,
            ),
        ] {
            assert_eq!(told.is_for(&other), fits, "{other:?}");
        }
    }

    #[test]
    fn what_came_in_another_boot_counts_only_where_a_digest_will_show_it() {
        let mut note = Note::of(&upload()).unwrap();
        assert_eq!((note.counts(7), note.counts(11)), (7, 0));
        let text = serde_json::to_string(&note).unwrap();
        assert_eq!(serde_json::from_str::<Note>(&text).unwrap(), note);
        note.now = None;
        assert_eq!(note.counts(7), 0);
        note.sha256 = Some("ab".into());
        assert_eq!(note.counts(7), 7);
    }
}
