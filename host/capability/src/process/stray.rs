//! What runs of a try whose records are gone: the program, or somebody, has removed its folder.
//!
//! A try's name is in the name of its cgroup and in the mark its processes carry, so they are found
//! without any file. Nobody can say any more how such a program ends; it can only be ended.

use std::io;

use super::marker::Marker;
use super::reference::Reference;
use super::slot::Slot;
use super::tree;
use crate::cgroup::detect::tag;
use crate::cgroup::{Isolation, Placement};
use crate::workspace::Workspaces;

/// The processes of one try, as far as its name leads to them.
pub(crate) struct Strays {
    placement: Placement,
    marker: Marker,
}

impl Strays {
    /// Those of this try, if its records are gone.
    pub(crate) fn of(
        workspaces: &Workspaces,
        isolation: &Isolation,
        reference: Reference,
    ) -> io::Result<Option<Self>> {
        if Slot::of(workspaces, reference).request()?.is_some() {
            return Ok(None);
        }
        Ok(Some(Self {
            placement: isolation.place(&format!("{}.{}", reference.workload, reference.try_name())),
            marker: Marker::new(reference, &tag(workspaces.root())),
        }))
    }

    /// Ends them, and says whether none was left before.
    pub(crate) fn end(&self) -> io::Result<bool> {
        let held = self.placement.processes()?;
        // A group holds all of them; where there is none, the mark is all there is.
        let marked = match self.placement {
            Placement::None => tree::marked(&self.marker)?,
            _ => Vec::new(),
        };
        if held.is_empty() && marked.is_empty() {
            self.placement.remove()?;
            return Ok(true);
        }
        self.placement.kill()?;
        tree::kill_all(&marked);
        Ok(false)
    }
}
