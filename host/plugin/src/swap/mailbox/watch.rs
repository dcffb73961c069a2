//! Is told by the system when something in a folder changes.

use std::path::Path;
use std::sync::Arc;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// A watch on a folder, until it is dropped.
pub(super) struct Watch {
    changed: Arc<Notify>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches the folder, not what is in it: a file that is renamed over another is a change of the
    /// folder.
    pub(super) fn new(folder: &Path) -> notify::Result<Self> {
        let changed = Arc::new(Notify::new());
        let told = changed.clone();
        // An error says that something was missed, which is a reason to look too.
        let tell = move |event: notify::Result<notify::Event>| {
            let is_access = event.is_ok_and(|event| event.kind.is_access());
            if !is_access {
                told.notify_one();
            }
        };
        let mut watcher = notify::recommended_watcher(tell)?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self {
            changed,
            _watcher: watcher,
        })
    }

    /// Returns when something has changed since it did so last.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_rename_over_a_file_is_told_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch::new(folder.path()).unwrap();
        for text in ["1", "2", "3"] {
            let new = folder.path().join(".new");
            fs::write(&new, text).unwrap();
            fs::rename(&new, folder.path().join("a.wasm")).unwrap();
            tokio::time::timeout(Duration::from_secs(10), watch.changed())
                .await
                .unwrap();
        }
    }
}
