//! What a workload printed.

use fleet_capability::{OutputOptions, Source};
use futures::StreamExt;

use super::Stage;
use crate::case::Need;
use crate::check::lines::{Joiner, Line, Wanted, is_part, since};
use crate::check::{Met, answered, unmet};

/// For how long a follower looks whether more comes than should, in milliseconds.
const MORE_MS: u64 = 200;

/// How long it takes to get ready where nothing tells, in milliseconds.
const READY_MS: u64 = 1_000;

impl Stage {
    pub(super) async fn logs(&mut self, on: &str, wanted: Wanted<'_>) -> Met {
        let lines = self.read(on, OutputOptions::default()).await?;
        wanted.are(&lines)?;
        self.runtime_mut(on)?.log = lines;
        Ok(())
    }

    pub(super) async fn logs_tail(&mut self, on: &str, count: usize) -> Met {
        let options = OutputOptions {
            tail: Some(count as u64),
            ..OutputOptions::default()
        };
        let found = self.read(on, options).await?;
        let all = &self.runtime(on)?.log;
        let wanted = all.get(all.len().saturating_sub(count)..);
        is_part(
            &format!("the last {count} lines"),
            wanted.unwrap_or_default(),
            &found,
        )
    }

    pub(super) async fn logs_since(&mut self, on: &str, line: usize) -> Met {
        let (since_ms, wanted) = since(&self.runtime(on)?.log, line)?;
        let options = OutputOptions {
            since_ms: Some(since_ms),
            ..OutputOptions::default()
        };
        let found = self.read(on, options).await?;
        is_part(
            &format!("what was printed since line {line}"),
            &wanted,
            &found,
        )
    }

    pub(super) async fn logs_cursors(&mut self, on: &str) -> Met {
        let all = self.runtime(on)?.log.clone();
        if all.iter().all(|line| line.cursor.is_none()) {
            return unmet("a cursor at some line", "none at any");
        }
        for (index, line) in all.iter().enumerate() {
            let Some(cursor) = line.cursor.clone() else {
                continue;
            };
            let options = OutputOptions {
                cursor: Some(cursor),
                ..OutputOptions::default()
            };
            let found = self.read(on, options).await?;
            let wanted = all.get(index + 1..).unwrap_or_default();
            is_part(&format!("what follows line {}", index + 1), wanted, &found)?;
        }
        Ok(())
    }

    pub(super) async fn logs_follow(&mut self, on: &str, wanted: Wanted<'_>) -> Met {
        let options = OutputOptions {
            follow: true,
            ..OutputOptions::default()
        };
        let mut source = self.open(on, options).await?;
        let mut lines: Vec<Line> = Vec::new();
        let mut joiner = Joiner::default();
        let clock = self.clock.clone();
        let all = async {
            while !wanted.begin(&lines)? {
                match source.output.next().await {
                    Some(frame) => lines.extend(joiner.take(answered(frame)?)),
                    None => return wanted.are(&lines),
                }
            }
            // It may go on, but there is nothing more to be said.
            let more = async {
                while let Some(frame) = source.output.next().await {
                    lines.extend(joiner.take(answered(frame)?));
                    wanted.begin(&lines)?;
                }
                Ok(())
            };
            tokio::select! {
                more = more => more,
                () = clock.sleep(std::time::Duration::from_millis(MORE_MS)) => Ok(()),
            }
        };
        self.within("all of these lines", all).await
    }

    /// Waits until it has printed `ready`.
    pub(super) async fn ready(&mut self, on: &str) -> Met {
        if !self.backend.abilities.has(Need::Logs) {
            self.pause(READY_MS).await;
            return Ok(());
        }
        let options = OutputOptions {
            follow: true,
            ..OutputOptions::default()
        };
        let mut source = self.open(on, options).await?;
        let mut joiner = Joiner::default();
        let told = async {
            while let Some(frame) = source.output.next().await {
                if let Some(line) = joiner.take(answered(frame)?)
                    && line.text == "ready"
                {
                    return Ok(());
                }
            }
            unmet("the line `ready`", "the end of its log")
        };
        self.within("the line `ready`", told).await
    }

    async fn open(&self, on: &str, options: OutputOptions) -> Met<Source> {
        let (driver, runtime) = (self.driver()?, self.runtime(on)?);
        self.ask(driver.logs(&runtime.item(), &runtime.handle, &options))
            .await
    }

    /// A part of the log, to its end.
    async fn read(&self, on: &str, options: OutputOptions) -> Met<Vec<Line>> {
        let mut source = self.open(on, options).await?;
        let all = async {
            let (mut joiner, mut lines) = (Joiner::default(), Vec::new());
            while let Some(frame) = source.output.next().await {
                lines.extend(joiner.take(answered(frame)?));
            }
            Ok(lines)
        };
        self.within("the end of what is printed by now", all).await
    }
}
