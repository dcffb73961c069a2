//! The engine of all tests of a run.
//!
//! The first that needs it starts it; each process that uses it holds a lock for as long as it lives, and
//! when nobody has held that for a while, or the process that `FLEET_TEST_ENGINE_RUN` names is gone, a
//! keeper ends it and removes what it had.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::daemon::{Daemon, Net};
use crate::{Engine, image, need};

/// The engine, if there can be one.
pub(crate) fn engine() -> Option<&'static Engine> {
    static ENGINE: OnceLock<Option<Engine>> = OnceLock::new();
    ENGINE.get_or_init(join).as_ref()
}

fn join() -> Option<Engine> {
    need::all().ok()?;
    let folder = folder();
    // Shared by users; the keeper takes it alone before it ends the engine.
    let hold = open(&folder.with_extension("lock"));
    hold.lock_shared().unwrap();
    let turn = open(&folder.with_extension("turn"));
    turn.lock().unwrap();
    let daemon = Daemon::new(folder.clone(), Net::Bridge);
    if !daemon.answers() {
        // What one that was killed has left.
        daemon.end();
        std::fs::create_dir_all(&folder).unwrap();
        daemon.start();
        daemon.keep_shared(run());
        image::load(daemon.socket());
    }
    turn.unlock().unwrap();
    Some(Engine {
        daemon,
        _hold: Some(hold),
    })
}

/// Where it has its data: `FLEET_TEST_ENGINE_DIR`, else a folder for temporary files.
fn folder() -> PathBuf {
    std::env::var_os("FLEET_TEST_ENGINE_DIR").map_or_else(
        || std::env::temp_dir().join("fleet-engine-shared"),
        PathBuf::from,
    )
}

/// The process that stands for the run.
fn run() -> Option<u32> {
    std::env::var("FLEET_TEST_ENGINE_RUN").ok()?.parse().ok()
}

fn open(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
