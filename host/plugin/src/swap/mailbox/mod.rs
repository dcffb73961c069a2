//! The plugin folder as a mailbox: what appears in it is a request, what lies in it is not the truth.
//!
//! The folder is watched, not the files, for a watch of a file goes deaf when another takes its place;
//! and it is looked at now and then without being told. A file is taken when it and its manifest have
//! lain still for a while: read once, copied, and never looked at again until it changes.

mod consider;
mod desk;
mod facts;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::shared::Shared;
use super::slot::{Remark, Slot};
use crate::load::unchanged;
use desk::{Desk, Look, Looked};
use facts::{Facts, FolderId};
use watch::Watch;

/// How soon the folder is looked at again after a change in it: many come in a row.
const AFTER_A_CHANGE: Duration = Duration::from_millis(20);

/// The mailbox at work.
pub(crate) struct Mailbox {
    shared: Arc<Shared>,
    /// As it was named: what stands there may change.
    folder: PathBuf,
    desk: Desk,
    watch: Option<(Watch, FolderId)>,
    /// The looks that have ended.
    closed: mpsc::UnboundedReceiver<Closed>,
    closes: mpsc::UnboundedSender<Closed>,
}

/// A look at a file that has ended.
struct Closed {
    file: String,
    number: u64,
    looked: Looked,
    /// How many turns had been given back when it began.
    turns: u64,
}

/// What the files of a start looked like before they were read.
#[derive(Debug, Default)]
pub(crate) struct Before(BTreeMap<String, Facts>);

impl Before {
    /// Looks at them.
    pub(crate) fn look(folder: &std::path::Path) -> Self {
        Self(facts::look(folder).unwrap_or_default())
    }

    /// Only these files were decided on.
    pub(crate) fn of(mut self, is_decided: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|file, _| is_decided(file));
        self
    }
}

impl Mailbox {
    /// One for this folder; what was decided on `before` is not looked at again until it changes.
    pub(crate) fn new(shared: Arc<Shared>, folder: PathBuf, before: Before) -> Self {
        let mut desk = Desk::new(shared.settings.settle_ms);
        for (file, facts) in before.0 {
            desk.known(file, facts);
        }
        let (closes, closed) = mpsc::unbounded_channel();
        Self {
            shared,
            folder,
            desk,
            watch: None,
            closed,
            closes,
        }
    }

    /// Works until the host goes away.
    pub(crate) async fn run(mut self) {
        let shared = self.shared.clone();
        tokio::select! {
            () = shared.closed() => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        let clock = self.shared.loader.services.clock.clone();
        let rescan = Duration::from_millis(self.shared.settings.rescan_ms.max(100));
        let mut turns = self.shared.turns.subscribe();
        let mut next_rescan_ms = 0;
        loop {
            let now_ms = clock.boot_ms();
            let is_rescan = now_ms >= next_rescan_ms;
            if is_rescan {
                next_rescan_ms = now_ms.saturating_add(millis(rescan));
                self.watch_the_folder();
            }
            self.look(now_ms).await;
            if is_rescan {
                self.shared.collect().await;
                self.look_at_policies().await;
            }
            for look in self.desk.open(now_ms) {
                self.open(look);
            }
            let due_ms = self.desk.next_ms().unwrap_or(next_rescan_ms);
            let due_ms = due_ms.min(next_rescan_ms);
            let pause = Duration::from_millis(due_ms.saturating_sub(clock.boot_ms()).max(1));
            tokio::select! {
                () = changed(self.watch.as_ref()) => clock.sleep(AFTER_A_CHANGE).await,
                Some(closed) = self.closed.recv() => self.close(closed, clock.boot_ms()),
                Ok(()) = turns.changed() => self.desk.wake(),
                () = clock.sleep(pause) => {}
            }
        }
    }

    /// Watches what stands at the folder's place now.
    fn watch_the_folder(&mut self) {
        let now = FolderId::of(&self.folder).ok();
        if self.watch.as_ref().map(|(_, watched)| *watched) == now {
            return;
        }
        self.watch = now.and_then(|now| match Watch::new(&self.folder) {
            Ok(watch) => Some((watch, now)),
            Err(error) => {
                tracing::warn!(
                    "the plugin folder {} is not watched, only looked at now and then: {error}",
                    self.folder.display()
                );
                None
            }
        });
    }

    async fn look(&mut self, now_ms: u64) {
        let folder = self.folder.clone();
        let looked = tokio::task::spawn_blocking(move || facts::look(&folder)).await;
        let there = match looked {
            Ok(Ok(there)) => there,
            // Nobody knows what lies there: nothing has gone.
            Ok(Err(error)) => {
                tracing::debug!(
                    "the plugin folder {} cannot be read: {error}",
                    self.folder.display()
                );
                return;
            }
            // The runtime goes away.
            Err(_) => return,
        };
        let gone = self.desk.see(there, now_ms);
        for file in &gone {
            self.gone(file);
        }
        if !gone.is_empty() {
            // Something may have stood in another's way.
            self.desk.wake_all();
        }
        for slot in self.shared.slots() {
            let file = slot.record().file;
            if slot.backend().is_some() && !self.desk.files().any(|there| there == file) {
                self.missing(&slot, &file);
            }
        }
    }

    /// A file was taken away. That is no request.
    fn gone(&self, file: &str) {
        self.shared.loader.registry.newcomer(file, None);
        let mut is_ours = false;
        for slot in self.shared.slots() {
            slot.set_refused(file, None);
            slot.set_gone(file);
            is_ours |= slot.record().file == file;
        }
        if !is_ours {
            self.shared.loader.registry.forget(file);
        }
    }

    fn missing(&self, slot: &Slot, file: &str) {
        let record = self.shared.journal.path(&slot.plugin);
        let text = format!(
            "its file {file} is not in the plugin folder: it serves all the same, for a file that goes takes nothing out of \
             service. To uninstall it, stop the host and remove {}",
            record.display()
        );
        self.shared.remark(slot, Remark::File, Some(text));
    }

    /// A policy that was changed holds from the next swap or start on.
    async fn look_at_policies(&self) {
        for slot in self.shared.slots() {
            let Some(serving) = self.shared.serving(&slot) else {
                continue;
            };
            let policies = serving.generation.policies.clone();
            if policies.is_empty() {
                continue;
            }
            let changed = move || {
                let mut policies = policies.iter();
                policies
                    .find(|(path, digest)| !unchanged(path, **digest))
                    .map(|(path, _)| path.display().to_string())
            };
            let Ok(changed) = tokio::task::spawn_blocking(changed).await else {
                return;
            };
            let text = changed.map(|path| {
                format!("its policy {path} has changed: that holds from the next swap or start on")
            });
            self.shared.remark(&slot, Remark::Policy, text);
        }
    }

    /// Looks at a file that lies still, in a task of its own: one plugin does not wait for another.
    fn open(&self, look: Look) {
        let Look {
            file,
            facts,
            number,
        } = look;
        let turns = *self.shared.turns.borrow();
        let (shared, folder, closes) = (
            self.shared.clone(),
            self.folder.clone(),
            self.closes.clone(),
        );
        let files: Vec<String> = self.desk.files().map(str::to_owned).collect();
        tokio::spawn(async move {
            // Nothing may link out of what stands there now.
            let folder = folder.canonicalize().unwrap_or(folder);
            let work = tokio::spawn({
                let (shared, file) = (shared.clone(), file.clone());
                async move { consider::consider(shared, folder, file, facts, files).await }
            });
            let looked = work.await.unwrap_or_else(|error| {
                tracing::error!(file, "a task of the host failed: {error}");
                Looked::Done
            });
            // The mailbox is gone when the host is.
            let _ = closes.send(Closed {
                file,
                number,
                looked,
                turns,
            });
        });
    }

    /// A look has ended. One that found its plugin busy while a turn was given back has perhaps missed
    /// that: it is looked at once more instead of waiting.
    fn close(&mut self, closed: Closed, now_ms: u64) {
        let has_missed = closed.turns != *self.shared.turns.borrow();
        let looked = match closed.looked {
            Looked::Busy if has_missed => Looked::Changed,
            looked => looked,
        };
        self.desk.close(&closed.file, closed.number, looked, now_ms);
    }
}

/// Returns when something in the folder has changed; never, where it is not watched.
async fn changed(watch: Option<&(Watch, FolderId)>) {
    match watch {
        Some((watch, _)) => watch.changed().await,
        None => std::future::pending().await,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
