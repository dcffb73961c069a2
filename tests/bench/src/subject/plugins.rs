//! The plugin host, in this process, over a folder of components.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fleet_capability::endpoint::{EndpointOptions, Endpoints};
use fleet_capability::{LocalProcesses, Redactor, ShimCommand};
use fleet_model::Name;
use fleet_plugin::{
    CompileCommand, Driver, Drivers as _, Grants, NoHandles, NoPoints, PluginHost,
    PluginHostOptions, SwapSettings, Usual, default_grants, manifests,
};
use fleet_seam::{Clock, SystemClock, SystemEntropy};

use crate::Result;
use crate::benchmarks::Bench;

/// A plugin host with one component, granted all it asks for; and that component's driver.
pub(crate) struct Plugin {
    /// How it is called.
    pub(crate) driver: Arc<dyn Driver>,
    _host: Arc<PluginHost>,
}

impl Plugin {
    /// Opens it over a new folder that holds this component alone.
    pub(crate) fn open(
        bench: &Bench,
        name: &str,
        component: &[u8],
        manifest: &str,
    ) -> Result<Self> {
        Self::open_with(bench, name, component, manifest, &[])
    }

    /// The same, with these endpoints granted where its manifest asks for them.
    fn open_with(
        bench: &Bench,
        name: &str,
        component: &[u8],
        manifest: &str,
        usual: &[Usual],
    ) -> Result<Self> {
        let root = bench.scratch(&format!("plugin-{name}"))?;
        let folder = root.join("plugins");
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join(format!("{name}.wasm")), component)?;
        std::fs::write(folder.join(format!("{name}.toml")), manifest)?;
        let policy = format!("{name}.policy.toml");
        let shipped = bench.options.plugins.join(&policy);
        if shipped.is_file() {
            std::fs::copy(shipped, folder.join(policy))?;
        }
        let name: Name = name.parse()?;
        bench.runtime.block_on(async {
            let host = PluginHost::open(options(bench, &root, &folder, &name, usual)?)?;
            host.settled().await;
            let driver = host.driver(&name)?;
            Ok(Self {
                driver,
                _host: host,
            })
        })
    }

    /// A component that was shipped.
    pub(crate) fn shipped(bench: &Bench, name: &str) -> Result<Self> {
        Self::shipped_with(bench, name, &[])
    }

    /// A component that was shipped, with these endpoints.
    pub(crate) fn shipped_with(bench: &Bench, name: &str, usual: &[Usual]) -> Result<Self> {
        let (component, manifest) = shipped(bench, name)?;
        Self::open_with(bench, name, &component, &manifest, usual)
    }
}

/// The files of a component that was shipped.
pub(crate) fn shipped(bench: &Bench, name: &str) -> Result<(Vec<u8>, String)> {
    let file = |kind: &str| bench.options.plugins.join(format!("{name}.{kind}"));
    let read = |error| format!("the shipped plugin {name} cannot be read: {error}");
    let component = std::fs::read(file("wasm")).map_err(read)?;
    let manifest = std::fs::read_to_string(file("toml")).map_err(read)?;
    Ok((component, manifest))
}

fn options(
    bench: &Bench,
    root: &Path,
    folder: &Path,
    name: &Name,
    usual: &[Usual],
) -> Result<PluginHostOptions> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let shim = ShimCommand {
        program: bench.options.host.clone(),
        args: vec!["shim".into()],
    };
    let granted = default_grants(&manifests(folder)?, std::slice::from_ref(name), usual);
    let processes = LocalProcesses::open(&root.join("workloads"), shim, clock.clone())?;
    let endpoints = Endpoints::open(EndpointOptions::new(
        &root.join("endpoints"),
        processes.workspaces().clone(),
        clock.clone(),
        Arc::new(SystemEntropy),
    ))?;
    Ok(PluginHostOptions {
        folder: folder.to_owned(),
        data: root.join("data"),
        cache: Some(bench.compiled()),
        grants: Grants::parse("grants.toml", &granted)?,
        grants_path: root.join("grants.toml"),
        ceiling: None,
        settings: BTreeMap::new(),
        compile: CompileCommand {
            program: bench.options.host.clone(),
            args: vec!["compile".into()],
        },
        processes: Arc::new(processes),
        endpoints: Some(endpoints),
        redactor: Redactor::default(),
        clock,
        node_name: "bench".to_owned(),
        live: Arc::new(NoHandles),
        swap: SwapSettings::default(),
        points: Arc::new(NoPoints),
    })
}
