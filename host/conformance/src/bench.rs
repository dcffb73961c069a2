//! The host a case has: a plugin host over the machine's processes, on folders of its own. It can be
//! lost, as by SIGKILL, and another one opened on the same folders.

use std::path::PathBuf;
use std::sync::Arc;

use fleet_capability::cgroup;
use fleet_capability::endpoint::{EndpointOptions, Endpoints};
use fleet_capability::{
    Caller, LocalProcesses, NoSecrets, Options, Processes, Redactor, ShimCommand, Workspaces,
};
use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::{Error, Name};
use fleet_plugin::{
    CompileCommand, Driver, Drivers, Grants, NoHandles, NoPoints, PluginHost, PluginHostOptions,
    SwapSettings,
};
use fleet_seam::{Clock, Entropy};
use tempfile::TempDir;

/// The folder of a host's workloads, in that of its case.
const WORKLOADS: &str = "workloads";

/// What the hosts of all cases share.
pub(crate) struct Setup {
    /// Everything is in here, and goes with it.
    pub(crate) root: TempDir,
    /// The backend under test.
    pub(crate) name: Name,
    pub(crate) grants: Grants,
    pub(crate) grants_path: PathBuf,
    pub(crate) cache: Option<PathBuf>,
    pub(crate) shim: ShimCommand,
    pub(crate) compile: CompileCommand,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// One host on its folders.
pub(crate) struct Bench {
    setup: Arc<Setup>,
    folder: PathBuf,
    host: Option<Host>,
}

struct Host {
    plugins: Arc<PluginHost>,
    processes: Arc<LocalProcesses>,
}

impl Setup {
    /// Where the component and its manifest are copied to.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    /// Where the host of a case has its folders.
    fn case(&self, name: &str) -> PathBuf {
        self.root.path().join("cases").join(name)
    }

    /// Ends what is left in the groups of a case's host, and removes them and the folders they lie in.
    pub(crate) async fn sweep_groups(&self, name: &str) {
        let workloads = self.case(name).join(WORKLOADS);
        let swept = tokio::task::spawn_blocking(move || {
            // A host knows its folder by this path, and without a folder there was none.
            if let Ok(workloads) = workloads.canonicalize() {
                cgroup::sweep(&workloads);
            }
        });
        // What stays is empty, and of a name that no host has again.
        let _ = swept.await;
    }

    /// On whose behalf the plugin's processes are made.
    pub(crate) fn caller(&self) -> Caller {
        Caller {
            plugin: self.name.clone(),
        }
    }
}

impl Bench {
    /// Opens a host in a folder of this name.
    ///
    /// # Errors
    /// Where the host cannot work or does not take the plugin.
    pub(crate) async fn open(setup: Arc<Setup>, name: &str) -> Result<Self, Error> {
        let mut bench = Self {
            folder: setup.case(name),
            setup,
            host: None,
        };
        bench.host = Some(bench.host().await?);
        Ok(bench)
    }

    /// Loses the host and opens another one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) async fn lose(&mut self) -> Result<(), Error> {
        self.host = None;
        self.host = Some(self.host().await?);
        Ok(())
    }

    /// Opens another host where one was lost and its successor was cut off.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) async fn revive(&mut self) -> Result<(), Error> {
        if self.host.is_none() {
            self.host = Some(self.host().await?);
        }
        Ok(())
    }

    async fn host(&self) -> Result<Host, Error> {
        let setup = &self.setup;
        let processes = Arc::new(LocalProcesses::open_with(
            &self.folder.join(WORKLOADS),
            setup.shim.clone(),
            setup.clock.clone(),
            Arc::new(NoSecrets),
            Options::default(),
        )?);
        let endpoints = Endpoints::open(EndpointOptions::new(
            &self.folder.join("endpoints"),
            processes.workspaces().clone(),
            setup.clock.clone(),
            setup.entropy.clone(),
        ))?;
        let plugins = PluginHost::open(PluginHostOptions {
            folder: setup.plugins(),
            data: setup.root.path().join("data"),
            cache: setup.cache.clone(),
            grants: setup.grants.clone(),
            grants_path: setup.grants_path.clone(),
            ceiling: None,
            settings: Default::default(),
            compile: setup.compile.clone(),
            processes: processes.clone(),
            endpoints: Some(endpoints),
            redactor: Redactor::default(),
            clock: setup.clock.clone(),
            node_name: "conformance".to_owned(),
            live: Arc::new(NoHandles),
            swap: SwapSettings::default(),
            points: Arc::new(NoPoints),
        })?;
        plugins.settled().await;
        Ok(Host { plugins, processes })
    }

    /// What the host made of the file.
    ///
    /// # Errors
    /// `invalid` (`rejected`) where it does not take it.
    pub(crate) fn plugin(&self) -> Result<Plugin, Error> {
        let found = self.open_host()?.plugins.plugins().into_iter().next();
        let plugin = found.ok_or_else(|| {
            Error::invalid(
                "no-component",
                "the file is not a NAME.wasm beside NAME.toml",
            )
        })?;
        match plugin.state {
            PluginState::Rejected => {
                let reason = plugin.reason.as_deref().unwrap_or("no reason given");
                Err(Error::invalid(
                    "rejected",
                    format!("{} would be rejected: {reason}", plugin.file),
                ))
            }
            _ => Ok(plugin),
        }
    }

    /// The backend.
    ///
    /// # Errors
    /// Where it is not in use.
    pub(crate) fn driver(&self) -> Result<Arc<dyn Driver>, Error> {
        self.open_host()?.plugins.driver(&self.setup.name)
    }

    /// The folders of its workloads.
    ///
    /// # Errors
    /// Where there is no host.
    pub(crate) fn workspaces(&self) -> Result<Workspaces, Error> {
        Ok(self.open_host()?.processes.workspaces().clone())
    }

    /// Its processes.
    ///
    /// # Errors
    /// Where there is no host.
    pub(crate) fn processes(&self) -> Result<Arc<dyn Processes>, Error> {
        Ok(self.open_host()?.processes.clone())
    }

    /// What it shares with others.
    pub(crate) fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    fn open_host(&self) -> Result<&Host, Error> {
        self.host.as_ref().ok_or_else(|| {
            Error::unavailable("no-host", "the host of this case could not be opened again")
        })
    }
}
