//! Keeps the row of a file up to date that is loaded for the first time.

use async_trait::async_trait;
use fleet_model::plugin::PluginState;

use super::{Step, Watcher};
use crate::digest::Digest;
use crate::manifest::ManifestText;
use crate::refused::Refused;
use crate::registry::Registry;

/// One file's row.
pub(crate) struct Rows<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) file: &'a str,
}

impl Rows<'_> {
    /// It was read.
    pub(crate) fn found(&self, digest: Digest, manifest: Option<&ManifestText>) {
        self.registry.update(self.file, |plugin| {
            plugin.digest = Some(digest.to_string());
            if let Some(ManifestText { manifest, .. }) = manifest {
                plugin.kind = Some(manifest.kind);
                plugin.version = Some(manifest.version.clone());
                plugin.attributes.extend(
                    manifest
                        .description
                        .clone()
                        .map(|text| ("description".to_owned(), text)),
                );
            }
        });
    }
}

#[async_trait]
impl Watcher for Rows<'_> {
    async fn reached(&self, step: Step<'_>) -> Result<(), Refused> {
        self.registry.update(self.file, |plugin| match step {
            Step::Verified(permissions) => {
                plugin.state = PluginState::Verified;
                plugin.capabilities = permissions.view();
            }
            Step::Compiled => plugin.state = PluginState::Compiled,
            Step::Linked => plugin.state = PluginState::Linked,
            Step::Probed(description) => {
                plugin.state = PluginState::Probed;
                plugin.attributes.extend(description.attributes.clone());
                plugin.config_schema = Some(description.config_schema.clone());
            }
        });
        Ok(())
    }
}
