//! The `docker` command line, which asks the same engine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// Its name in tables.
pub(crate) const NAME: &str = "docker CLI";

/// The program and the engine it asks.
#[derive(Debug, Clone)]
pub(crate) struct DockerCli {
    program: PathBuf,
    host: String,
}

impl DockerCli {
    pub(crate) fn new(program: &Path, host: String) -> Self {
        Self {
            program: program.to_owned(),
            host,
        }
    }

    /// Makes and starts a container as confined as ours, and answers its id.
    pub(crate) fn begin(&self, workspace: &Path, image: &str, command: &[&str]) -> Result<String> {
        let mount = format!("type=bind,source={},target=/workspace", workspace.display());
        let mut arguments = vec![
            "run",
            "--detach",
            "--init",
            "--network=none",
            "--cgroupns=private",
            "--security-opt=no-new-privileges",
            "--cap-drop=AUDIT_WRITE",
            "--cap-drop=MKNOD",
            "--cap-drop=NET_RAW",
            "--cap-drop=SETFCAP",
            "--log-opt=max-size=16m",
            "--log-opt=max-file=4",
            "--mount",
            &mount,
            image,
        ];
        arguments.extend(command);
        Ok(self.run(&arguments)?.trim().to_owned())
    }

    /// Runs a program beside a container's own until it ends, and answers what it printed.
    pub(crate) fn exec(&self, container: &str, command: &[&str]) -> Result<String> {
        let mut arguments = vec!["exec", container];
        arguments.extend(command);
        self.run(&arguments)
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.program)
            .args(["--host", &self.host])
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("docker {}: {said}", arguments.join(" ")).into())
    }
}
