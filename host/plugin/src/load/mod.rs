//! A component's way to code that can serve: Verified, Compiled, Linked, Probed; or refused, with
//! the reason.
//!
//! A bad file never stops the host: each step either reaches the next state or says, for people,
//! why not. Nothing of the component runs before it is linked, and the first thing that runs,
//! `describe`, runs without any permission. What is to happen between the steps is a [`Watcher`]'s
//! business: of a file that was found its row in the list is kept up to date, of one that is to take
//! another's place more is asked.

mod inspect;
mod policies;
mod probe;
mod rows;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use fleet_capability::endpoint::Target;
use fleet_model::Name;
use fleet_model::driver::Description;
use wasmtime::component::Linker;

use crate::call::Callee;
use crate::compile::Compiler;
use crate::digest::Digest;
use crate::engine::HostEngine;
use crate::folder::{Candidate, MAX_COMPONENT_BYTES, read};
use crate::generation::{Count, GenerationId, PluginGeneration};
use crate::grants::{Ceiling, Grants};
use crate::manifest::{Manifest, ManifestText};
use crate::permission::{Permissions, Subject, effective};
use crate::refused::{Code, Refused, blocking};
use crate::registry::Registry;
use crate::settings;
use crate::state::{CallState, Scope, Services};
use crate::template::Template;
use crate::turn::Turns;
use crate::world;

use inspect::Surface;
pub(crate) use inspect::inspect;
pub(crate) use policies::unchanged;
pub(crate) use rows::Rows;
pub(crate) use store::{Content, ContentStore, Pin};

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
    /// How many generations are in memory.
    pub(crate) count: Count,
}

/// A state that was reached, with what is known since.
pub(crate) enum Step<'a> {
    /// What it may do.
    Verified(&'a Permissions),
    Compiled,
    Linked,
    /// What it said of itself.
    Probed(&'a Description),
}

/// Goes along with a component.
#[async_trait]
pub(crate) trait Watcher: Send + Sync {
    /// It has come so far; an error ends its way.
    async fn reached(&self, step: Step<'_>) -> Result<(), Refused>;
}

/// Goes along and does nothing.
pub(crate) struct Unwatched;

#[async_trait]
impl Watcher for Unwatched {
    async fn reached(&self, _: Step<'_>) -> Result<(), Refused> {
        Ok(())
    }
}

/// Bytes of a component that were looked at and, where it is one, copied.
pub(crate) struct Read {
    pub(crate) digest: Digest,
    looked: Result<(Surface, Pin), Refused>,
}

/// A component and its manifest in the content store, fit to be loaded. They stay there for as long
/// as this is held.
pub(crate) struct Kept {
    pub(crate) id: GenerationId,
    pub(crate) manifest: Manifest,
    _pins: [Pin; 2],
}

impl Loader {
    /// Brings a file as far as Probed. What is learned on the way stands in the list.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) async fn probe(&self, candidate: &Candidate) -> Result<Loaded, Refused> {
        let rows = Rows {
            registry: &self.registry,
            file: &candidate.file,
        };
        let (folder, path) = (candidate.folder.clone(), candidate.path.clone());
        let bytes = blocking(move || read(&folder, &path, MAX_COMPONENT_BYTES)).await?;
        let found = self.read(bytes).await?;
        rows.found(found.digest, candidate.manifest.as_ref().ok());
        found.looked.as_ref().map_err(Clone::clone)?;
        let manifest = candidate.manifest.clone()?;
        let kept = self.keep(found, manifest).await?;
        let generation = self.generation(&kept, &rows).await?;
        Ok(Loaded { kept, generation })
    }

    /// Looks at a component from outside, and copies it where it is one.
    ///
    /// # Errors
    /// Where the copy cannot be written.
    pub(crate) async fn read(&self, bytes: Vec<u8>) -> Result<Read, Refused> {
        let store = self.store.clone();
        blocking(move || {
            let digest = Digest::of(&bytes);
            let looked = match inspect(&bytes) {
                Ok(surface) => Ok((surface, store.keep(Content::Component, digest, &bytes)?)),
                Err(message) => Err(Code::BadComponent.because(message)),
            };
            Ok(Read { digest, looked })
        })
        .await
    }

    /// Checks that it is of a world this host serves, and copies its manifest too.
    ///
    /// # Errors
    /// `bad-component`, or where the copy cannot be written.
    pub(crate) async fn keep(&self, found: Read, manifest: ManifestText) -> Result<Kept, Refused> {
        let (surface, component) = found.looked?;
        world::check(&surface.imports, &surface.exports)
            .map_err(|message| Code::BadComponent.because(message))?;
        let ManifestText {
            manifest,
            text,
            digest,
        } = manifest;
        let store = self.store.clone();
        let text = blocking(move || store.keep(Content::Manifest, digest, text.as_bytes())).await?;
        Ok(Kept {
            id: GenerationId {
                component: found.digest,
                manifest: digest,
            },
            manifest,
            _pins: [component, text],
        })
    }

    /// Loads what is in the content store since earlier.
    ///
    /// # Errors
    /// Why it cannot be used any more.
    pub(crate) async fn revive(
        &self,
        plugin: &Name,
        id: GenerationId,
        watcher: &dyn Watcher,
    ) -> Result<PluginGeneration, Refused> {
        let store = self.store.clone();
        let bytes = blocking(move || store.read(Content::Manifest, id.manifest)).await?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Code::Storage.because("the copy of its manifest is no text"))?;
        let manifest = ManifestText::parse(&format!("{plugin}.toml"), text)?.manifest;
        self.load(id, &manifest, watcher).await
    }

    /// Brings what was kept as far as Probed.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) async fn generation(
        &self,
        kept: &Kept,
        watcher: &dyn Watcher,
    ) -> Result<PluginGeneration, Refused> {
        self.load(kept.id, &kept.manifest, watcher).await
    }

    async fn load(
        &self,
        id: GenerationId,
        manifest: &Manifest,
        watcher: &dyn Watcher,
    ) -> Result<PluginGeneration, Refused> {
        let name = &manifest.name;
        let subject = Subject {
            plugin: name,
            digest: id.component,
            grants_path: &self.grants_path,
        };
        let permissions = effective(
            subject,
            &manifest.requests,
            self.grants.of(name),
            self.ceiling.as_ref(),
        );
        watcher.reached(Step::Verified(&permissions)).await?;
        let settings = settings::resolve(manifest, self.settings.get(name))
            .map_err(|message| Code::Settings.because(message))?;
        let policies = policies::read(&self.folder, permissions.endpoints())
            .await
            .map_err(|message| Code::Policy.because(message))?;

        let component = self
            .compiler
            .component(id.component, &self.store.path(id.component))
            .await
            .map_err(|message| Code::DoesNotCompile.because(message))?;
        watcher.reached(Step::Compiled).await?;

        let template = Template::link(&self.linker, &component)
            .map_err(|message| Code::DoesNotLink.because(message))?;
        watcher.reached(Step::Linked).await?;

        let turns = Turns::new(self.services.clock.clone());
        let engine = self.engine.clone();
        let callee = Callee::new(name.clone(), manifest.limits, template, engine, turns);
        let nothing = self.scope(name, Permissions::none(name), BTreeMap::new(), "{}");
        let description = probe::describe(&callee, manifest, &nothing)
            .await
            .map_err(|message| Code::Describe.because(message))?;
        watcher.reached(Step::Probed(&description)).await?;
        Ok(PluginGeneration {
            id,
            manifest: manifest.clone(),
            callee,
            scope: self.scope(name, permissions, policies.targets, &settings),
            description: Arc::new(description),
            policies: policies.files,
            _counted: self.count.one(),
        })
    }

    /// A file is not used. What a reason quotes may be the component's own words.
    pub(crate) fn reject(&self, file: &str, reason: &str) {
        let reason = self.services.redactor.text(reason);
        self.registry.rejected(file, &reason);
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

/// A generation, and what keeps its copies until they are written down as used.
pub(crate) struct Loaded {
    pub(crate) kept: Kept,
    pub(crate) generation: PluginGeneration,
}
