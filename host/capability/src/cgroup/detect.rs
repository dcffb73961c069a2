//! What this machine allows, found once when the host opens its folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{Access, access};
use sha2::{Digest, Sha256};

use super::Placement;
use super::plan::{Layout, layout, place};
use super::table::{memberships, mounts};

/// How strongly to isolate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// As strongly as this machine allows.
    #[default]
    Strongest,
    /// By process group and subreaper only, as where no cgroup may be made.
    ProcessGroup,
}

/// How processes are isolated here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    layout: Option<Layout>,
    reason: Option<String>,
}

impl Isolation {
    /// Looks at this machine, and tries to make this host's folder for groups.
    #[must_use]
    pub fn detect(choice: Choice, data: &Path) -> Self {
        let without = |reason: String| Self {
            layout: None,
            reason: Some(reason),
        };
        if choice == Choice::ProcessGroup {
            return without("cgroups are switched off".to_owned());
        }
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mounts = mounts(&read("/proc/self/mountinfo"));
        let Some(found) = layout(
            &mounts,
            &memberships(&read("/proc/self/cgroup")),
            &tag(data),
        ) else {
            return without("no cgroup hierarchy is mounted".to_owned());
        };
        match found {
            Layout::V2 { base } => match probe(&base) {
                Ok(()) => Self {
                    layout: Some(Layout::V2 { base }),
                    reason: None,
                },
                Err(error) => without(refused(&base, &error)),
            },
            Layout::V1 { freezer, others } => match probe(&freezer) {
                Ok(()) => {
                    let (usable, unusable): (Vec<_>, Vec<_>) = others
                        .into_iter()
                        .partition(|(_, base)| probe(base).is_ok());
                    let missing: Vec<&str> =
                        unusable.iter().map(|(name, _)| name.as_str()).collect();
                    let reason = (!missing.is_empty())
                        .then(|| format!("no group may be made for {}", missing.join(", ")));
                    Self {
                        layout: Some(Layout::V1 {
                            freezer,
                            others: usable,
                        }),
                        reason,
                    }
                }
                Err(error) => without(refused(&freezer, &error)),
            },
        }
    }

    /// Where a process of this name goes.
    #[must_use]
    pub fn place(&self, name: &str) -> Placement {
        self.layout
            .as_ref()
            .map_or(Placement::None, |layout| place(layout, name))
    }

    /// For people: `isolation`, and `isolation-reason` where it is weaker than it could be.
    #[must_use]
    pub fn describe(&self) -> BTreeMap<String, String> {
        let text = match &self.layout {
            Some(Layout::V2 { .. }) => "cgroup v2".to_owned(),
            Some(Layout::V1 { others, .. }) => {
                let names: Vec<&str> = std::iter::once("freezer")
                    .chain(others.iter().map(|(name, _)| name.as_str()))
                    .collect();
                format!("cgroup v1 ({})", names.join(", "))
            }
            None => Placement::None.isolation().to_owned(),
        };
        let reason = self
            .reason
            .iter()
            .map(|reason| ("isolation-reason".to_owned(), reason.clone()));
        std::iter::once(("isolation".to_owned(), text))
            .chain(reason)
            .collect()
    }
}

fn refused(base: &Path, error: &io::Error) -> String {
    format!("no cgroup may be made at {}: {error}", base.display())
}

/// Whether groups can be made here and processes moved in from the host's own group. Moving needs
/// write access to both ends and, in v2, to the group above both, which is the host's own.
fn probe(base: &Path) -> io::Result<()> {
    fs::create_dir_all(base)?;
    let writable = |folder: &Path| access(folder.join("cgroup.procs"), Access::WRITE_OK);
    let own = base.ancestors().nth(2).unwrap_or(base);
    let answer = writable(base).and_then(|()| writable(own));
    // They are made again for each process; those that hold something refuse.
    for folder in base.ancestors().take(2) {
        let _ = fs::remove_dir(folder);
    }
    Ok(answer?)
}

/// Short, the same at every start, and different for two hosts of one machine.
fn tag(data: &Path) -> String {
    let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
    digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
