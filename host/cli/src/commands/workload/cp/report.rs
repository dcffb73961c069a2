//! What came of a copy.

use indicatif::HumanBytes;
use serde::Serialize;

use super::side::Side;
use crate::app::Context;
use crate::failure::Failure;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    /// From where.
    from: String,
    /// To where.
    pub(super) to: String,
    /// How many files.
    pub(super) files: u64,
    /// How many folders.
    pub(super) folders: u64,
    /// How many bytes are in the files.
    pub(super) bytes: u64,
    /// The SHA-256 of the file, where it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    /// Files that changed while they were copied, so that they could not be compared.
    pub(super) changed: Vec<String>,
    /// What was left out: links, and what is neither file nor folder.
    pub(super) skipped: Vec<String>,
}

impl Report {
    pub(super) fn new(from: &Side, to: &Side) -> Self {
        Self {
            from: from.to_string(),
            to: to.to_string(),
            files: 0,
            folders: 0,
            bytes: 0,
            sha256: None,
            changed: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// One more file.
    pub(super) fn file(&mut self, bytes: u64, sha256: String) {
        self.files += 1;
        self.bytes += bytes;
        self.sha256 = (self.files == 1 && self.folders == 0).then_some(sha256);
    }

    pub(super) fn tell(&self, context: &mut Context) -> Result<(), Failure> {
        context.output.answer(self, || self.text())
    }

    fn text(&self) -> String {
        let Self { from, to, .. } = self;
        let bytes = HumanBytes(self.bytes);
        if self.folders == 0 {
            return format!("copied {from} to {to}, {bytes}\n");
        }
        format!(
            "copied {from} to {to}: {}, {}, {bytes}\n",
            counted(self.files, "file"),
            counted(self.folders, "folder")
        )
    }
}

fn counted(count: u64, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_went_where() {
        let side = |text: &str| text.parse::<Side>().unwrap();
        let mut report = Report::new(&side("./a"), &side("web:conf/a"));
        report.file(2_048, "ab".into());
        assert_eq!(report.text(), "copied ./a to web:conf/a, 2.00 KiB\n");
        assert_eq!(report.sha256.as_deref(), Some("ab"));
        report.folders = 2;
        report.file(0, "cd".into());
        let text = "copied ./a to web:conf/a: 2 files, 2 folders, 2.00 KiB\n";
        assert_eq!((report.text().as_str(), report.sha256), (text, None));
    }
}
