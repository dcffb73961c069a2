//! Every plugin that serves or was found, how far it came, and why: what `plugin ls` shows.
//!
//! A file has one row for what serves from it, or would, a second one while a newcomer in it is
//! refused, and one for each that is not taken again until somebody allows it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleet_model::Error;
use fleet_model::driver::Fingerprint;
use fleet_model::plugin::{Plugin, PluginState};
use tokio::sync::watch;

/// The rows by their files, and a counter that rises with every change.
pub(crate) struct Registry {
    rows: Mutex<BTreeMap<(String, Place), Plugin>>,
    changes: watch::Sender<u64>,
}

/// Which of a file's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// What serves, or would if it could.
    First,
    /// What may not take its place.
    Newcomer,
    /// What may not take it any more, one of several.
    Banned(usize),
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            rows: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// Everything, in the order of the files' names.
    pub(crate) fn plugins(&self) -> Vec<Plugin> {
        self.lock().values().cloned().collect()
    }

    /// Rises when `plugins` would answer something else.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A file was seen. `name` is the best that is known of it.
    pub(crate) fn discovered(&self, file: &str, name: &str, node: &str) {
        let plugin = Plugin::found(name, file, node);
        self.lock().insert((file.to_owned(), Place::First), plugin);
        self.changed();
    }

    /// Changes what is known of a file.
    pub(crate) fn update(&self, file: &str, change: impl FnOnce(&mut Plugin)) {
        let mut rows = self.lock();
        let Some(plugin) = rows.get_mut(&(file.to_owned(), Place::First)) else {
            return;
        };
        let before = plugin.clone();
        change(plugin);
        let after = (*plugin != before).then(|| plugin.clone());
        drop(rows);
        let Some(after) = after else { return };
        if after.state != before.state {
            log(&after);
        }
        self.changed();
    }

    /// A file is not used.
    pub(crate) fn rejected(&self, file: &str, reason: &str) {
        self.update(file, |plugin| {
            plugin.state = PluginState::Rejected;
            plugin.reason = Some(reason.to_owned());
            plugin.usable = false;
        });
    }

    /// What is in this file may not take the place of what serves; or nothing is refused there any
    /// more.
    pub(crate) fn newcomer(&self, file: &str, refused: Option<Plugin>) {
        let key = (file.to_owned(), Place::Newcomer);
        let mut rows = self.lock();
        let before = match &refused {
            Some(plugin) => rows.insert(key, plugin.clone()),
            None => rows.remove(&key),
        };
        drop(rows);
        if before == refused {
            return;
        }
        if let Some(plugin) = &refused {
            log(plugin);
        }
        self.changed();
    }

    /// These are not taken again, and no others.
    pub(crate) fn banned(&self, file: &str, banned: Vec<Plugin>) {
        let mut rows = self.lock();
        let before = rows.clone();
        rows.retain(|(other, place), _| other != file || !matches!(place, Place::Banned(_)));
        for (number, plugin) in banned.into_iter().enumerate() {
            rows.insert((file.to_owned(), Place::Banned(number)), plugin);
        }
        let is_changed = *rows != before;
        drop(rows);
        if is_changed {
            self.changed();
        }
    }

    /// Nothing is to be told of this file any more.
    pub(crate) fn forget(&self, file: &str) {
        let mut rows = self.lock();
        let before = rows.len();
        rows.retain(|(other, _), _| other != file);
        let is_changed = rows.len() < before;
        drop(rows);
        if is_changed {
            self.changed();
        }
    }

    /// What served from one file serves from another.
    pub(crate) fn renamed(&self, from: &str, to: &str) {
        let mut rows = self.lock();
        let Some(mut plugin) = rows.remove(&(from.to_owned(), Place::First)) else {
            return;
        };
        rows.retain(|(file, _), _| file != from && file != to);
        to.clone_into(&mut plugin.file);
        rows.insert((to.to_owned(), Place::First), plugin);
        drop(rows);
        self.changed();
    }

    /// What a backend found out about its machine.
    pub(crate) fn fingerprint(&self, file: &str, answer: &Result<Fingerprint, Error>) {
        self.update(file, |plugin| found_out(plugin, answer));
    }

    /// Returns once every file is in use or refused.
    pub(crate) async fn settled(&self) {
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            if self.lock().values().all(|plugin| plugin.state.is_settled()) {
                return;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Place), Plugin>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a backend found out about its machine, as its row has it.
pub(crate) fn found_out(plugin: &mut Plugin, answer: &Result<Fingerprint, Error>) {
    match answer {
        Ok(found) => {
            plugin.usable = found.unusable.is_none();
            plugin.reason.clone_from(&found.unusable);
            plugin.attributes.extend(found.attributes.clone());
        }
        Err(error) => {
            plugin.usable = false;
            plugin.reason = Some(error.to_string());
        }
    }
}

fn log(plugin: &Plugin) {
    let reason = plugin.reason.as_deref().unwrap_or_default();
    tracing::info!(plugin = %plugin.name, file = plugin.file, state = %plugin.state, reason, "plugin");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_settled_when_the_last_file_is() {
        let registry = std::sync::Arc::new(Registry::new());
        registry.settled().await;
        registry.discovered("a.wasm", "a", "n");
        registry.discovered("b.wasm", "b", "n");
        let waiting = tokio::spawn({
            let registry = registry.clone();
            async move { registry.settled().await }
        });
        registry.rejected("a.wasm", "no");
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        registry.update("b.wasm", |plugin| plugin.state = PluginState::Active);
        waiting.await.unwrap();
        assert_eq!(registry.plugins()[0].reason.as_deref(), Some("no"));
    }

    #[test]
    fn a_change_that_changes_nothing_wakes_nobody() {
        let registry = Registry::new();
        registry.discovered("a.wasm", "a", "n");
        let mut changes = registry.changes();
        changes.mark_unchanged();
        registry.update("a.wasm", |_| ());
        registry.newcomer("a.wasm", None);
        assert!(!changes.has_changed().unwrap());
        registry.fingerprint("a.wasm", &Err(Error::unavailable("x", "no engine")));
        assert!(changes.has_changed().unwrap());
        assert_eq!(registry.plugins()[0].reason.as_deref(), Some("no engine"));
    }

    #[test]
    fn a_refused_newcomer_stands_beside_what_serves() {
        let registry = Registry::new();
        registry.discovered("a.wasm", "a", "n");
        registry.update("a.wasm", |plugin| plugin.state = PluginState::Active);
        let refused = Plugin {
            state: PluginState::Rejected,
            ..Plugin::found("a", "a.wasm", "n")
        };
        registry.newcomer("a.wasm", Some(refused));
        let states: Vec<_> = registry.plugins().iter().map(|row| row.state).collect();
        assert_eq!(states, [PluginState::Active, PluginState::Rejected]);
        let banned = Plugin {
            state: PluginState::Quarantined,
            ..Plugin::found("a", "a.wasm", "n")
        };
        registry.banned("a.wasm", vec![banned.clone(), banned]);
        assert_eq!(registry.plugins().len(), 4);
        registry.banned("a.wasm", Vec::new());
        assert_eq!(registry.plugins().len(), 2);
        registry.renamed("a.wasm", "b.wasm");
        let files: Vec<_> = registry.plugins().into_iter().map(|row| row.file).collect();
        assert_eq!(files, ["b.wasm"]);
        registry.forget("b.wasm");
        assert!(registry.plugins().is_empty());
    }
}
