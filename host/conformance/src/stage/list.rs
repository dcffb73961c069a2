//! The list of all runtimes.

use super::Stage;
use crate::check::pages::Walk;
use crate::check::states::{shown, word};
use crate::check::{Met, unmet};

impl Stage {
    pub(super) async fn list(&mut self, limit: u32, has: &[String], lacks: &[String]) -> Met {
        let walk = self.walk(limit).await?;
        for name in has {
            let runtime = self.runtime(name)?;
            let (id, generation) = (runtime.workload.id.to_string(), runtime.workload.generation);
            let mut found = walk
                .entries
                .iter()
                .filter(|entry| entry.workload == id && entry.generation == generation);
            let (Some(entry), None) = (found.next(), found.next()) else {
                let count = walk.entries.iter().filter(|entry| entry.workload == id);
                return unmet(
                    format!("`{name}` once, with its workload and generation {generation}"),
                    format!("{} entries of its workload", count.count()),
                );
            };
            let node = runtime.workload.node.to_string();
            if !entry.node.is_empty() && entry.node != node {
                return unmet(format!("the node {node}, or none"), &entry.node);
            }
            let wanted = self.observe(name, &runtime.handle).await?;
            let look = self.observe(name, &entry.handle).await?;
            if word(&look.state) != word(&wanted.state) {
                return unmet(
                    format!("a listed handle that tells {}", shown(&wanted.state)),
                    shown(&look.state),
                );
            }
        }
        for name in lacks {
            let runtime = self.runtime(name)?;
            let (id, generation) = (runtime.workload.id.to_string(), runtime.workload.generation);
            let is_it = |entry: &fleet_model::driver::Listed| {
                entry.workload == id && entry.generation == generation
            };
            if walk.entries.iter().any(is_it) {
                return unmet(format!("`{name}` not to be listed any more"), "it is");
            }
        }
        Ok(())
    }

    /// All of it, in pages of this size.
    pub(super) async fn walk(&self, limit: u32) -> Met<Walk> {
        let driver = self.driver()?;
        let mut walk = Walk::default();
        let mut cursor = None;
        loop {
            let (page, next) = self.ask(driver.list(cursor.as_deref(), limit)).await?;
            cursor = walk.take(page, next)?;
            if cursor.is_none() {
                return Ok(walk);
            }
        }
    }
}
