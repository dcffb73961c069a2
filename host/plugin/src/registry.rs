//! Every plugin file that was found, how far it came, and why: what `plugin ls` shows.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleet_model::Error;
use fleet_model::driver::Fingerprint;
use fleet_model::plugin::{Plugin, PluginState};
use tokio::sync::watch;

/// The files by their names, and a counter that rises with every change.
pub(crate) struct Registry {
    files: Mutex<BTreeMap<String, Plugin>>,
    changes: watch::Sender<u64>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            files: Mutex::default(),
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
        let plugin = Plugin {
            name: name.to_owned(),
            kind: None,
            version: None,
            digest: None,
            state: PluginState::Discovered,
            reason: None,
            usable: false,
            file: file.to_owned(),
            node: node.to_owned(),
            attributes: BTreeMap::new(),
            config_schema: None,
            capabilities: Vec::new(),
        };
        self.lock().insert(file.to_owned(), plugin);
        self.changed();
    }

    /// Changes what is known of a file.
    pub(crate) fn update(&self, file: &str, change: impl FnOnce(&mut Plugin)) {
        let mut files = self.lock();
        let Some(plugin) = files.get_mut(file) else {
            return;
        };
        let before = plugin.clone();
        change(plugin);
        let after = (*plugin != before).then(|| plugin.clone());
        drop(files);
        let Some(after) = after else { return };
        if after.state != before.state {
            let reason = after.reason.as_deref().unwrap_or_default();
            tracing::info!(plugin = %after.name, file, state = %after.state, reason, "plugin");
        }
        self.changed();
    }

    /// A file came one step further.
    pub(crate) fn reached(&self, file: &str, state: PluginState) {
        self.update(file, |plugin| plugin.state = state);
    }

    /// A file is not used.
    pub(crate) fn rejected(&self, file: &str, reason: &str) {
        self.update(file, |plugin| {
            plugin.state = PluginState::Rejected;
            plugin.reason = Some(reason.to_owned());
            plugin.usable = false;
        });
    }

    /// What a backend found out about its machine.
    pub(crate) fn fingerprint(&self, file: &str, answer: &Result<Fingerprint, Error>) {
        self.update(file, |plugin| match answer {
            Ok(found) => {
                plugin.usable = found.unusable.is_none();
                plugin.reason.clone_from(&found.unusable);
                plugin.attributes.extend(found.attributes.clone());
            }
            Err(error) => {
                plugin.usable = false;
                plugin.reason = Some(error.to_string());
            }
        });
    }

    /// Returns once every file is active or rejected.
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

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Plugin>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        registry.reached("b.wasm", PluginState::Active);
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
        assert!(!changes.has_changed().unwrap());
        registry.fingerprint("a.wasm", &Err(Error::unavailable("x", "no engine")));
        assert!(changes.has_changed().unwrap());
        assert_eq!(registry.plugins()[0].reason.as_deref(), Some("no engine"));
    }
}
