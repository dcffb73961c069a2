//! What is done to processes without a word to the backend.

use super::{LOOK_MS, Stage};
use crate::case::step::Behind;
use crate::check::{Met, unmet};
use crate::remains::{self, EXEC, Running, WORKLOAD};

/// How long processes may take to be as many as they must, in milliseconds.
const COUNT_MS: u64 = 5_000;

impl Stage {
    pub(super) async fn kill_behind(&mut self, on: &str, what: Behind) -> Met {
        let id = self.runtime(on)?.workload.id.to_string();
        let (programs, keepers): (Vec<Running>, Vec<Running>) = remains::processes(&id)
            .into_iter()
            .partition(|running| running.has(WORKLOAD, &id));
        if programs.is_empty() {
            return unmet("a process of it", "none");
        }
        // The keeper first, so that it sees nothing of the program's end.
        if what == Behind::Keeper {
            for keeper in &keepers {
                keeper.kill();
            }
        }
        for program in &programs {
            program.kill();
        }
        Ok(())
    }

    pub(super) async fn processes(&mut self, on: &str, are: usize) -> Met {
        let id = self.runtime(on)?.workload.id.to_string();
        let is_its = |running: &Running| running.has(WORKLOAD, &id) && !running.is_exec();
        self.count(&id, are, is_its).await
    }

    pub(super) async fn exec_processes(&mut self, of: &str, are: usize) -> Met {
        let beside = self.beside(of)?;
        let id = self.runtime(&beside.on)?.workload.id.to_string();
        let mark = beside.mark.clone();
        self.count(&id, are, |running| running.has(EXEC, &mark))
            .await
    }

    /// Looks until so many are there: one that was just executed or killed takes a moment.
    async fn count(&self, id: &str, are: usize, is_its: impl Fn(&Running) -> bool) -> Met {
        let until_ms = self.clock.boot_ms() + COUNT_MS;
        loop {
            let found: Vec<Running> = remains::processes(id)
                .into_iter()
                .filter(|running| is_its(running))
                .collect();
            if found.len() == are {
                return Ok(());
            }
            if self.clock.boot_ms() >= until_ms {
                let commands: Vec<&str> = found.iter().map(|it| it.command.as_str()).collect();
                return unmet(
                    format!("{are} processes"),
                    format!("{} ({})", found.len(), commands.join("; ")),
                );
            }
            self.pause(LOOK_MS.1).await;
        }
    }
}
