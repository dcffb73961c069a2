//! The plugin host: a folder of components in, drivers out.
//!
//! [`PluginHost::open`] looks at the folder and at what is written down of earlier starts and returns;
//! what is to serve is loaded in the background, and [`PluginHost::settled`] returns once each is
//! Active or Rejected. From then on the folder is a mailbox ([`crate::swap`]).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fleet_capability::endpoint::Endpoints;
use fleet_capability::{Processes, Redactor};
use fleet_model::plugin::Plugin;
use fleet_model::{Error, Name};
use fleet_seam::Clock;
use tokio::sync::watch;

use crate::again::ask_again;
use crate::compile::{CompileCommand, Compiler};
use crate::driver::{Driver, Drivers};
use crate::engine::HostEngine;
use crate::folder::{Candidate, scan};
use crate::generation::Count;
use crate::grants::{Ceiling, Grants};
use crate::imports;
use crate::load::{ContentStore, Loader};
use crate::registry::Registry;
use crate::state::Services;
use crate::swap::journal::Journal;
use crate::swap::mailbox::{Before, Mailbox};
use crate::swap::shared::Shared;
use crate::swap::start::discover;
use crate::swap::{LiveHandles, SwapPoints, SwapSettings, Swaps};

/// What a plugin host is made of.
pub struct PluginHostOptions {
    /// Where the plugins are: `NAME.wasm` beside `NAME.toml`.
    pub folder: PathBuf,
    /// The host's data folder: copies, compiled forms and what is written down of swaps are kept in
    /// `plugins/` of it.
    pub data: PathBuf,
    /// Where compiled forms are kept instead.
    pub cache: Option<PathBuf>,
    /// What the operator lets each plugin do.
    pub grants: Grants,
    /// Where the grants stand, for the message of a refusal.
    pub grants_path: PathBuf,
    /// What no grant exceeds.
    pub ceiling: Option<Ceiling>,
    /// The operator's settings of each plugin.
    pub settings: BTreeMap<Name, serde_json::Value>,
    /// How a compiling child is started.
    pub compile: CompileCommand,
    /// Programs, for plugins that are granted a launcher.
    pub processes: Arc<dyn Processes>,
    /// HTTP services, for plugins that are granted an endpoint; absent where there are none.
    pub endpoints: Option<Endpoints>,
    /// Knows the values of secrets in use: no text of a plugin is logged, stored or returned with
    /// one of them in it.
    pub redactor: Redactor,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// This node's name.
    pub node_name: String,
    /// What plugins have made, which new code must know before it serves.
    pub live: Arc<dyn LiveHandles>,
    /// How patient swaps are.
    pub swap: SwapSettings,
    /// What goes along with swaps.
    pub points: Arc<dyn SwapPoints>,
}

/// What [`PluginHost::verify`] needs.
pub struct VerifyOptions {
    /// A data folder, as [`PluginHostOptions::data`].
    pub data: PathBuf,
    /// As [`PluginHostOptions::cache`].
    pub cache: Option<PathBuf>,
    /// Shown against what the manifest asks.
    pub grants: Grants,
    /// Where the grants stand.
    pub grants_path: PathBuf,
    /// How a compiling child is started.
    pub compile: CompileCommand,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// All plugins of a node. What it does in the background ends when it is dropped.
pub struct PluginHost {
    pub(crate) shared: Arc<Shared>,
}

impl PluginHost {
    /// Looks at the folder and begins to load what is in it. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// `invalid` (`no-plugin-folder`) or `unavailable` (`no-engine`, `no-plugin-data`): the host
    /// itself cannot work. A bad plugin is no error.
    pub fn open(options: PluginHostOptions) -> Result<Arc<Self>, Error> {
        let before = Before::look(&options.folder);
        let candidates = scan(&options.folder)?;
        let no_data = |reason: String| Error::unavailable("no-plugin-data", reason);
        let journal = Journal::open(options.data.join("plugins/swap")).map_err(no_data)?;
        let records = journal.read().map_err(no_data)?;
        let services = Services {
            processes: Some(options.processes),
            endpoints: options.endpoints,
            clock: options.clock.clone(),
            redactor: options.redactor,
            refusals: Mutex::default(),
        };
        let loader = loader(Parts {
            data: &options.data,
            folder: &options.folder,
            cache: options.cache,
            services,
            grants: options.grants,
            grants_path: options.grants_path,
            ceiling: options.ceiling,
            settings: options.settings,
            compile: options.compile,
        })?;
        let shared = Arc::new(Shared::new(
            loader,
            journal,
            options.live,
            options.swap,
            options.points,
            options.node_name,
        ));
        tokio::spawn(ask_again(Arc::downgrade(&shared), options.clock));
        let stock = shared.take_stock(records, candidates);
        let before = before.of(|file| stock.decided.contains(file));
        let folder = options.folder;
        let work = {
            let shared = shared.clone();
            async move {
                shared.load_all(stock).await;
                Mailbox::new(shared, folder, before).run().await;
            }
        };
        tokio::spawn(work);
        Ok(Arc::new(Self { shared }))
    }

    /// Returns once everything that was to serve at the start is Active or Rejected.
    pub async fn settled(&self) {
        self.shared.loader.registry.settled().await;
    }

    /// How many plugin generations are in memory.
    #[must_use]
    pub fn generations(&self) -> usize {
        self.shared.loader.count.now()
    }

    /// How many compiling children were started; a warm cache needs none.
    #[must_use]
    pub fn compilations(&self) -> u64 {
        self.shared.loader.compiler.started()
    }

    /// How often a call of a plugin was refused, by plugin and capability. Launchers and secrets
    /// whose names nobody wrote down are counted together, as `process.launcher *`, `endpoint *`
    /// and `secret *`.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<(Name, String), u64> {
        self.shared
            .loader
            .services
            .refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes one component, or every one of a folder, as far as Probed and says what became of it.
    /// Nothing is put into use and nothing but `describe` is called.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn verify(path: &Path, options: VerifyOptions) -> Result<Vec<Plugin>, Error> {
        let candidates = if path.is_dir() {
            scan(path)?
        } else {
            let missing = |error| {
                Error::invalid(
                    "no-such-file",
                    format!("cannot read {}: {error}", path.display()),
                )
            };
            let path = path.canonicalize().map_err(missing)?;
            vec![Candidate::at(path.parent().unwrap_or(&path), &path)]
        };
        let services = Services {
            processes: None,
            endpoints: None,
            clock: options.clock.clone(),
            redactor: Redactor::default(),
            refusals: Mutex::default(),
        };
        let loader = loader(Parts {
            data: &options.data,
            folder: if path.is_dir() {
                path
            } else {
                path.parent().unwrap_or(path)
            },
            cache: options.cache,
            services,
            grants: options.grants,
            grants_path: options.grants_path,
            ceiling: None,
            settings: BTreeMap::new(),
            compile: options.compile,
        })?;
        for candidate in discover(&loader.registry, "", candidates) {
            if let Err(refused) = loader.probe(&candidate).await {
                loader.reject(&candidate.file, &refused.message);
            }
        }
        Ok(loader.registry.plugins())
    }
}

impl Drop for PluginHost {
    fn drop(&mut self) {
        self.shared.closing.send_replace(true);
    }
}

impl Drivers for PluginHost {
    fn driver(&self, backend: &Name) -> Result<Arc<dyn Driver>, Error> {
        let backends = self.shared.backends.load();
        if let Some(found) = backends.get(backend) {
            return Ok(found.clone());
        }
        let why = self
            .plugins()
            .into_iter()
            .find(|plugin| plugin.name == backend.as_str())
            .map(|plugin| match plugin.reason {
                Some(reason) => format!("its plugin {} is {}: {reason}", plugin.file, plugin.state),
                None => format!(
                    "its plugin {} is still being loaded ({})",
                    plugin.file, plugin.state
                ),
            });
        let there: Vec<&str> = backends.keys().map(Name::as_str).collect();
        let there = if there.is_empty() {
            "none".to_owned()
        } else {
            there.join(", ")
        };
        let why = why.unwrap_or_else(|| "no plugin of that name was found".to_owned());
        Err(Error::unsupported(
            "no-backend",
            format!("there is no backend `{backend}` ({why}); there are: {there}"),
        ))
    }

    fn plugins(&self) -> Vec<Plugin> {
        self.shared.loader.registry.plugins()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.loader.registry.changes()
    }

    fn swaps(&self) -> Option<&dyn Swaps> {
        Some(self)
    }
}

struct Parts<'a> {
    data: &'a Path,
    folder: &'a Path,
    cache: Option<PathBuf>,
    services: Services,
    grants: Grants,
    grants_path: PathBuf,
    ceiling: Option<Ceiling>,
    settings: BTreeMap<Name, serde_json::Value>,
    compile: CompileCommand,
}

fn loader(parts: Parts<'_>) -> Result<Loader, Error> {
    let no_engine = |error: wasmtime::Error| {
        Error::unavailable("no-engine", format!("cannot run plugins: {error:#}"))
    };
    let no_data = |reason: String| Error::unavailable("no-plugin-data", reason);
    let engine = HostEngine::new().map_err(no_engine)?;
    let linker = imports::linker(engine.engine()).map_err(no_engine)?;
    let folder = parts.data.join("plugins");
    let cache = parts.cache.unwrap_or_else(|| folder.join("cache"));
    let clock = parts.services.clock.clone();
    let compiler =
        Compiler::new(engine.engine().clone(), cache, parts.compile, clock).map_err(no_data)?;
    Ok(Loader {
        compiler,
        store: ContentStore::open(folder.join("store")).map_err(no_data)?,
        engine,
        linker,
        registry: Arc::new(Registry::new()),
        services: Arc::new(parts.services),
        folder: parts.folder.to_owned(),
        grants: parts.grants,
        grants_path: parts.grants_path,
        ceiling: parts.ceiling,
        settings: parts.settings,
        count: Count::default(),
    })
}
