//! From a component to code that runs: cached, and compiled by a child process.
//!
//! A component is a stranger's bytes and compiling it can take all memory and many seconds, so it
//! is done by a child with limits ([`child`], [`worker`]), two at a time, never in the host. The
//! result is kept in a folder that only this user can write ([`cache`]), under a key that a build
//! without a compiler can compute as well ([`key`]), and is checked before it is mapped as code
//! ([`code`]).

mod cache;
mod child;
mod code;
mod key;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fleet_seam::Clock;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::Digest;

pub(crate) use cache::Cache;
pub use child::CompileCommand;
pub use worker::compile_main;

/// How many children compile at one time.
const PARALLEL: usize = 2;

/// Turns components into code.
pub(crate) struct Compiler {
    engine: Engine,
    cache: Cache,
    command: CompileCommand,
    permits: Semaphore,
    started: AtomicU64,
}

impl Compiler {
    /// A compiler for this engine that keeps its results in `folder`.
    pub(crate) fn new(
        engine: Engine,
        folder: PathBuf,
        command: CompileCommand,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let cache = Cache::open(folder, clock)?;
        Ok(Self {
            engine,
            cache,
            command,
            permits: Semaphore::new(PARALLEL),
            started: AtomicU64::new(0),
        })
    }

    /// How many children were started.
    pub(crate) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// The code of the component with this digest, which is in the file `wasm`.
    ///
    /// # Errors
    /// The reason for people, naming what to do.
    pub(crate) async fn component(&self, digest: Digest, wasm: &Path) -> Result<Component, String> {
        let key = key::key(&digest);
        if let Some(component) = self.cached(key).await {
            return Ok(component);
        }
        if !cfg!(feature = "compiler") {
            return Err(format!(
                "this build of fleet-host has no compiler and its compiled form is not in {}: start a build with the \
                 `compiler` feature on this data folder once",
                self.cache.folder().display()
            ));
        }
        let Ok(_permit) = self.permits.acquire().await else {
            return Err("the host is stopping".to_owned());
        };
        // Another file with the same content may have been compiled meanwhile.
        if let Some(component) = self.cached(key).await {
            return Ok(component);
        }
        let file = wasm.to_owned();
        blocking(move || check(&file, digest)).await?;
        self.started.fetch_add(1, Ordering::Relaxed);
        let output = self.cache.scratch()?;
        child::compile(&self.command, wasm, output.path()).await?;
        let cache = self.cache.clone();
        let engine = self.engine.clone();
        blocking(move || {
            let native = std::fs::read(output.path())
                .map_err(|error| format!("cannot read the compiled form: {error}"))?;
            let component = code::load(&engine, code::Trusted::fresh(&native))
                .map_err(|error| format!("this host cannot use its compiled form: {error:#}"))?;
            if let Err(error) = cache.put(key, &native) {
                tracing::warn!("{error}; the component is compiled again at the next start");
            }
            Ok(component)
        })
        .await
    }

    /// The cached code, if it is there and sound. Anything else is compiled again.
    async fn cached(&self, key: Digest) -> Option<Component> {
        let (cache, engine) = (self.cache.clone(), self.engine.clone());
        let load = move || {
            let Some(native) = cache.get(key)? else {
                return Ok(None);
            };
            code::load(&engine, native.trusted())
                .map(Some)
                .map_err(|error| format!("{error:#}"))
        };
        match blocking(load).await {
            Ok(component) => component,
            Err(reason) => {
                tracing::warn!(%key, "a compiled component is compiled again: {reason}");
                None
            }
        }
    }
}

/// What is compiled is kept under its digest for ever, so it must be what it is called.
fn check(file: &Path, digest: Digest) -> Result<(), String> {
    let bytes = std::fs::read(file)
        .map_err(|error| format!("its copy {} cannot be read: {error}", file.display()))?;
    if Digest::of(&bytes) == digest {
        Ok(())
    } else {
        Err(format!(
            "its copy {} is damaged: remove that file and put the plugin into the folder again",
            file.display()
        ))
    }
}

/// Runs work that reads files or hashes much apart from the threads that serve calls.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| format!("a task of the host failed: {error}"))?
}
