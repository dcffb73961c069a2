//! Files of this machine that go into a workload's workspace.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_model::spec::{FileContent, FileMode, FileSpec};

use crate::failure::{Failure, reason};

/// More than any workload may bring: what is larger is not even read. The host says how much fits.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// A file, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attached {
    /// Its path in the workspace.
    pub(super) path: String,
    /// The file on this machine.
    pub(super) file: PathBuf,
}

impl Attached {
    /// Reads it: text where it is UTF-8. What may be executed here may be executed there.
    pub(super) fn read(&self) -> Result<FileSpec, Failure> {
        let shown = self.file.display();
        let fail = |error: &std::io::Error| {
            Failure::usage(format!("cannot read {shown}: {}", reason(error))).help(format!(
                "--file {}={shown} names a file on this machine after the `=`",
                self.path
            ))
        };
        let file = std::fs::File::open(&self.file).map_err(|error| fail(&error))?;
        let mode = file
            .metadata()
            .map_err(|error| fail(&error))?
            .permissions()
            .mode();
        let mut bytes = Vec::new();
        file.take(MOST_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| fail(&error))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Failure::usage(format!("{shown} is larger than 4 MiB"))
                .help("let the program fetch what is large, or give it a path on the node"));
        }
        let content = match String::from_utf8(bytes) {
            Ok(text) => FileContent::Text(text),
            Err(error) => FileContent::Base64(STANDARD.encode(error.as_bytes())),
        };
        let executable = (mode & 0o100 != 0).then(|| "0755".parse::<FileMode>().ok());
        Ok(FileSpec {
            content,
            mode: executable.flatten(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_text_or_base64_and_stays_executable() {
        let folder = tempfile::tempdir().unwrap();
        for (bytes, mode, want) in [
            (&b"a = 1\n"[..], 0o640, json!("a = 1\n")),
            (&[0xff, 0], 0o600, json!({"base64": "/wA="})),
            (
                b"#!/bin/sh\n",
                0o700,
                json!({"text": "#!/bin/sh\n", "mode": "0755"}),
            ),
            (b"", 0o644, json!("")),
        ] {
            let file = folder.path().join("f");
            std::fs::write(&file, bytes).unwrap();
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let attached = Attached {
                path: "p".to_owned(),
                file,
            };
            assert_eq!(
                serde_json::to_value(attached.read().unwrap()).unwrap(),
                want
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_and_what_is_huge_is_not_read() {
        let of = |file: &str| Attached {
            path: "conf/a".to_owned(),
            file: file.into(),
        };
        let missing = of("/nowhere/a").read().unwrap_err();
        assert_eq!(
            missing.message,
            "cannot read /nowhere/a: no such file or directory"
        );
        assert!(
            missing
                .help
                .unwrap()
                .contains("--file conf/a=/nowhere/a names")
        );
        let folder = of("/").read().unwrap_err();
        assert_eq!(folder.message, "cannot read /: is a directory");
        let endless = of("/dev/zero").read().unwrap_err();
        assert!(endless.message.contains("larger than 4 MiB"));
    }
}
