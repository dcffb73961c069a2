//! Two versions of one backend, to be put in each other's place.

use std::path::Path;

use fleet_client::NewVersion;

use crate::Result;
use crate::benchmarks::Bench;

/// The backend that is swapped, and called.
pub(crate) const BACKEND: &str = "native";

/// A component and its manifest.
#[derive(Clone)]
pub(crate) struct Version {
    component: Vec<u8>,
    manifest: String,
}

impl Version {
    fn read(folder: &Path) -> Result<Self> {
        let file = |kind: &str| folder.join(format!("{BACKEND}.{kind}"));
        let unread = |error| {
            format!(
                "{}: {error}; `cargo xtask bench` builds it",
                folder.display()
            )
        };
        Ok(Self {
            component: std::fs::read(file("wasm")).map_err(unread)?,
            manifest: std::fs::read_to_string(file("toml")).map_err(unread)?,
        })
    }

    /// The same code under another digest: with a custom section (WebAssembly core specification, 5.5.3).
    pub(crate) fn salted(&self, salt: u64) -> Self {
        let mut version = self.clone();
        let mut section = vec![0, 13, 4];
        section.extend_from_slice(b"salt");
        section.extend_from_slice(&salt.to_le_bytes());
        version.component.extend_from_slice(&section);
        version
    }

    /// Puts it into a folder: each file whole or not at all, the component last.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        for (kind, content) in [
            ("toml", self.manifest.as_bytes()),
            ("wasm", &self.component),
        ] {
            let part = folder.join(format!(".{BACKEND}.{kind}"));
            std::fs::write(&part, content)?;
            std::fs::rename(part, folder.join(format!("{BACKEND}.{kind}")))?;
        }
        Ok(())
    }

    /// What its manifest says.
    pub(crate) fn version(&self) -> Result<&str> {
        let mut lines = self.manifest.lines();
        let line = lines.find_map(|line| line.strip_prefix("version = \""));
        Ok(line
            .and_then(|rest| rest.strip_suffix('"'))
            .ok_or("a manifest without a version")?)
    }

    /// As the client sends it.
    pub(crate) fn sent(&self) -> NewVersion {
        NewVersion {
            component: self.component.clone().into(),
            manifest: Some(self.manifest.clone()),
        }
    }
}

/// The one that was built and the next one: the same code, two components.
pub(crate) struct Versions {
    /// As it was built.
    pub(crate) shipped: Version,
    /// As `cargo xtask build --next` builds it.
    pub(crate) next: Version,
}

impl Versions {
    /// Reads both.
    pub(crate) fn read(bench: &Bench) -> Result<Self> {
        Ok(Self {
            shipped: Version::read(&bench.options.plugins)?,
            next: Version::read(&bench.options.next)?,
        })
    }
}
