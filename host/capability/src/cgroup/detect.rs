//! What this machine allows, found once when the host opens its folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fleet_model::Error;
use fleet_model::spec::Limits;
use rustix::fs::{Access, access};
use sha2::{Digest, Sha256};

use super::Placement;
use super::group;
use super::limit::{Holds, Resource, Setting, Version};
use super::plan::{Layout, layout, place};
use super::seat::{self, Kernel, Starter};
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
    holds: Holds,
}

impl Isolation {
    /// Looks at this machine, and tries to make this host's folder for groups.
    #[must_use]
    pub fn detect(choice: Choice, data: &Path) -> Self {
        let without = |reason: String| Self {
            layout: None,
            holds: Holds::nothing(reason.clone()),
            reason: Some(reason),
        };
        if choice == Choice::ProcessGroup {
            return without("cgroups are switched off".to_owned());
        }
        let Some(found) = laid_out(data) else {
            return without("no cgroup hierarchy is mounted".to_owned());
        };
        match found {
            Layout::V2 { base } => match probe(&base, |_| ()) {
                Ok(()) => Self {
                    holds: unified(&base),
                    layout: Some(Layout::V2 { base }),
                    reason: None,
                },
                Err(error) => without(refused(&base, &error)),
            },
            Layout::V1 { freezer, others } => match probe(&freezer, |_| ()) {
                Ok(()) => separate(freezer, others),
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

    /// What to write before a process of this name enters its groups.
    ///
    /// # Errors
    /// `unsupported` (`limits-unsupported`) for a limit that this machine cannot hold.
    pub(crate) fn settings(&self, name: &str, limits: &Limits) -> Result<Vec<Setting>, Error> {
        self.holds.settings(name, limits)
    }

    /// For people: `isolation` and `limits`, those that can be held; `isolation-reason` and
    /// `limits-reason` where these are less than they could be.
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
        let reasons = [
            ("isolation-reason", &self.reason),
            ("limits-reason", &self.holds.reason),
        ];
        let reasons = reasons
            .into_iter()
            .filter_map(|(name, reason)| Some((name.to_owned(), reason.clone()?)));
        [
            ("isolation".to_owned(), text),
            ("limits".to_owned(), self.holds.list()),
        ]
        .into_iter()
        .chain(reasons)
        .collect()
    }
}

/// Where the groups of the host with this data lie, whether or not they may be made.
pub(super) fn laid_out(data: &Path) -> Option<Layout> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mounts = mounts(&read("/proc/self/mountinfo"));
    let own = memberships(&read("/proc/self/cgroup"));
    layout(&mounts, &own, &tag(data))
}

fn refused(base: &Path, error: &io::Error) -> String {
    format!("no cgroup may be made at {}: {error}", base.display())
}

/// A v1 host: the freezer is there, the other controllers as far as they can be written.
fn separate(freezer: PathBuf, others: Vec<(String, PathBuf)>) -> Isolation {
    let mut bases = BTreeMap::new();
    let mut usable = Vec::new();
    let mut unusable = Vec::new();
    for (name, base) in others {
        let limited = |base: &Path| {
            Resource::ALL
                .into_iter()
                .filter(|what| base.join(what.v1_file()).exists())
                .collect::<Vec<_>>()
        };
        match probe(&base, limited) {
            Ok(found) => {
                bases.extend(found.into_iter().map(|what| (what, base.clone())));
                usable.push((name, base));
            }
            Err(_) => unusable.push(name),
        }
    }
    let reason =
        (!unusable.is_empty()).then(|| format!("no group may be made for {}", unusable.join(", ")));
    let missing: Vec<&str> = Resource::ALL
        .into_iter()
        .filter(|what| !bases.contains_key(what))
        .map(Resource::controller)
        .collect();
    let holds = Holds {
        version: Version::V1,
        bases,
        reason: (!missing.is_empty()).then(|| {
            let missing = missing.join(", ");
            format!("no group may be made for the cgroup v1 controllers {missing}: mount them, and give the host's user write access to its own groups there")
        }),
    };
    Isolation {
        layout: Some(Layout::V1 {
            freezer,
            others: usable,
        }),
        reason,
        holds,
    }
}

/// What a v2 host can hold, for which it may have to move.
fn unified(base: &Path) -> Holds {
    let top = base.ancestors().nth(2).unwrap_or(base);
    let own = std::process::id();
    match seat::take(&Kernel, top, base, own, Starter::of_this_process()) {
        Ok(held) => {
            let missing: Vec<&str> = Resource::ALL
                .into_iter()
                .filter(|what| !held.contains(what))
                .map(Resource::controller)
                .collect();
            Holds {
                version: Version::V2,
                bases: held
                    .into_iter()
                    .map(|what| (what, base.to_owned()))
                    .collect(),
                reason: (!missing.is_empty()).then(|| {
                    let (top, missing) = (top.display(), missing.join(", "));
                    format!("the cgroup {top} was not given the controllers {missing}")
                }),
            }
        }
        Err(reason) => Holds::nothing(reason),
    }
}

/// Whether groups can be made here and processes moved in from the host's own group, and what a
/// group made here looks like. Moving needs write access to both ends and, in v2, to the group
/// above both, which is the host's own.
fn probe<T>(base: &Path, look: impl Fn(&Path) -> T) -> io::Result<T> {
    let own = base.ancestors().nth(2).unwrap_or(base);
    let writable = |folder: &Path| access(folder.join("cgroup.procs"), Access::WRITE_OK);
    let answer = group::while_there(base, || {
        group::make(base)?;
        writable(base)?;
        writable(own)?;
        Ok(look(base))
    });
    // They are made again for each process; those that hold something refuse.
    for folder in base.ancestors().take(2) {
        let _ = fs::remove_dir(folder);
    }
    answer
}

/// Short, the same at every start, and different for two hosts of one machine.
pub(crate) fn tag(data: &Path) -> String {
    let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
    digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
