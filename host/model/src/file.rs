//! Files of a workload's workspace: what is told of them, and a file on its way in.

use serde::{Deserialize, Serialize};

/// The permission bits that count: those of owner, group and others.
pub const MODE_BITS: u32 = 0o777;

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FileKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A fifo, a socket, a device: listed, never opened.
    Other,
}

/// One thing in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileEntry {
    /// Its name in its folder; empty for the workspace itself. Bytes that are not UTF-8 are written as
    /// `\xFF`: such a name can be read here and not asked for.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Its size in bytes; of a folder 0.
    pub size: u64,
    /// Its permissions, nine bits in octal digits.
    #[serde(with = "octal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0644"))]
    pub mode: u32,
    /// When it was last written, in Unix milliseconds.
    pub modified_ms: u64,
    /// Where a link points, as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Its SHA-256 in hexadecimal digits, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl FileEntry {
    /// A weak entity tag (RFC 9110, 8.8.3) of what is in the file: another one after each write, as far as
    /// its time and size tell.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("W/\"{:x}-{:x}\"", self.modified_ms, self.size)
    }
}

/// A file on its way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Where it is to be.
    pub path: String,
    /// The client's key: what arrived under it before is gone on with. Empty: it comes in one go, and
    /// what arrived is dropped where that breaks off.
    pub key: String,
    /// Where in the file the bytes that follow belong: as much as has arrived.
    pub offset: u64,
    /// The whole file's size in bytes. It is put in place when so much has arrived.
    pub size: u64,
    /// The whole file's SHA-256 in hexadecimal digits, where the client knows it; another one is
    /// refused, and what arrived is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its permissions, of which only the lowest nine bits count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// Permission bits as people write them.
mod octal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{mode:04o}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_well_and_comes_back_as_it_was() {
        let entry = FileEntry {
            name: "run.sh".into(),
            kind: FileKind::File,
            size: 12,
            mode: 0o640,
            modified_ms: 255,
            target: None,
            sha256: None,
        };
        let json = serde_json::to_string(&entry).unwrap();
        assert_eq!(
            json,
            r#"{"name":"run.sh","kind":"file","size":12,"mode":"0640","modified_ms":255}"#
        );
        assert_eq!(serde_json::from_str::<FileEntry>(&json).unwrap(), entry);
        assert_eq!(entry.tag(), r#"W/"ff-c""#);
    }
}
