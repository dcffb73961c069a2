//! A file's way into use: Discovered, Verified, Compiled, Linked, Probed, Active; or Rejected, with
//! the reason.
//!
//! A bad file never stops the host: each step either reaches the next state or says, for people,
//! why not. Nothing of the component runs before it is linked, and the first thing that runs,
//! `describe`, runs without any permission.

mod inspect;
mod policies;
mod probe;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use fleet_capability::endpoint::Target;
use fleet_model::Name;
use fleet_model::plugin::PluginState;
use wasmtime::component::Linker;

use crate::call::Callee;
use crate::compile::Compiler;
use crate::digest::Digest;
use crate::engine::HostEngine;
use crate::folder::{Candidate, MAX_COMPONENT_BYTES, read};
use crate::generation::PluginGeneration;
use crate::grants::{Ceiling, Grants};
use crate::manifest::Manifest;
use crate::permission::{Permissions, Subject, effective};
use crate::registry::Registry;
use crate::settings;
use crate::state::{CallState, Scope, Services};
use crate::template::Template;
use crate::turn::Turns;
use crate::world;

use inspect::{Surface, inspect};
pub(crate) use store::ContentStore;

/// All that loading a plugin takes.
pub(crate) struct Loader {
    pub(crate) engine: HostEngine,
    pub(crate) linker: Linker<CallState>,
    pub(crate) compiler: Compiler,
    pub(crate) store: ContentStore,
    pub(crate) registry: Arc<Registry>,
    pub(crate) services: Arc<Services>,
    /// Where policies lie beside plugins.
    pub(crate) folder: PathBuf,
    pub(crate) grants: Grants,
    pub(crate) grants_path: PathBuf,
    pub(crate) ceiling: Option<Ceiling>,
    pub(crate) settings: BTreeMap<Name, serde_json::Value>,
}

/// A file whose bytes and manifest are sound.
struct Verified {
    digest: Digest,
    manifest: Manifest,
}

impl Loader {
    /// Brings a file as far as Probed. What is learned on the way stands in the registry.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) async fn probe(&self, candidate: &Candidate) -> Result<PluginGeneration, String> {
        let file = &candidate.file;
        let Verified { digest, manifest } = self.verify(candidate).await?;
        let name = manifest.name.clone();
        let subject = Subject {
            plugin: &name,
            digest,
            grants_path: &self.grants_path,
        };
        let permissions = effective(
            subject,
            &manifest.requests,
            self.grants.of(&name),
            self.ceiling.as_ref(),
        );
        self.registry.update(file, |plugin| {
            plugin.state = PluginState::Verified;
            plugin.capabilities = permissions.view();
        });
        let settings = settings::resolve(&manifest, self.settings.get(&name))?;
        let targets = policies::read(&self.folder, permissions.endpoints()).await?;

        let component = self
            .compiler
            .component(digest, &self.store.path(digest))
            .await?;
        self.registry.reached(file, PluginState::Compiled);

        let template = Template::link(&self.linker, &component)?;
        self.registry.reached(file, PluginState::Linked);

        let turns = Turns::new(self.services.clock.clone());
        let engine = self.engine.clone();
        let callee = Callee::new(name.clone(), manifest.limits, template, engine, turns);
        let nothing = self.scope(&name, Permissions::none(&name), BTreeMap::new(), "{}");
        let description = probe::describe(&callee, &manifest, &nothing).await?;
        self.registry.update(file, |plugin| {
            plugin.state = PluginState::Probed;
            plugin.attributes.extend(description.attributes.clone());
            plugin.config_schema = Some(description.config_schema.clone());
        });
        let scope = self.scope(&name, permissions, targets, &settings);
        Ok(PluginGeneration {
            digest,
            manifest,
            callee,
            scope,
            description: Arc::new(description),
        })
    }

    /// Reads the file once, keeps a copy, and looks at it from outside.
    async fn verify(&self, candidate: &Candidate) -> Result<Verified, String> {
        let (store, folder, path) = (
            self.store.clone(),
            candidate.folder.clone(),
            candidate.path.clone(),
        );
        let look = move || -> Result<(Digest, Result<Surface, String>), String> {
            let bytes = read(&folder, &path, MAX_COMPONENT_BYTES)?;
            let digest = Digest::of(&bytes);
            let surface = inspect(&bytes);
            if surface.is_ok() {
                store.keep(digest, &bytes)?;
            }
            Ok((digest, surface))
        };
        let (digest, surface) = tokio::task::spawn_blocking(look)
            .await
            .map_err(|error| format!("a task of the host failed: {error}"))??;
        self.registry.update(&candidate.file, |plugin| {
            plugin.digest = Some(digest.to_string());
            if let Ok(manifest) = &candidate.manifest {
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
        let surface = surface?;
        let manifest = candidate.manifest.clone()?;
        world::check(&surface.imports, &surface.exports)?;
        Ok(Verified { digest, manifest })
    }

    /// A file is not used. What a reason quotes may be the component's own words.
    pub(crate) fn reject(&self, file: &str, reason: &str) {
        let reason = self.services.redactor.text(reason);
        self.registry.rejected(file, &reason);
    }

    /// Throws out the copies of components that were not found at this start. Call it when all
    /// files have been read.
    pub(crate) async fn prune(&self) {
        let used: BTreeSet<String> = self
            .registry
            .plugins()
            .into_iter()
            .filter_map(|plugin| plugin.digest)
            .collect();
        let (store, now_ms) = (self.store.clone(), self.services.clock.unix_ms());
        // What cannot be removed is there still: nothing else depends on it.
        let _ = tokio::task::spawn_blocking(move || store.prune(&used, now_ms)).await;
    }

    fn scope(
        &self,
        plugin: &Name,
        permissions: Permissions,
        targets: BTreeMap<Name, Arc<Target>>,
        settings: &str,
    ) -> Arc<Scope> {
        let services = self.services.clone();
        Arc::new(Scope::new(plugin, permissions, targets, settings, services))
    }
}
