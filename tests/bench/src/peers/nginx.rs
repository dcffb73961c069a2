//! nginx: new workers take over while the old ones end what they have begun.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::process::{Owned, free_address, http_status};
use crate::stopwatch::wait_for;

/// As it is called in the report.
pub(crate) const NAME: &str = "nginx";

/// One that serves a few bytes.
pub(crate) struct Nginx {
    process: Owned,
    /// Where.
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// Starts it in a folder of its own, with as many workers as this machine has processors.
    pub(crate) fn start(program: &Path, folder: &Path) -> Result<Self> {
        let address = free_address()?;
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration(folder, address))?;
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Owned::spawn(&mut command)?;
        let ready = || {
            process.check()?;
            Ok(http_status(address, "/").filter(|status| *status == 200))
        };
        let patience = Duration::from_secs(10);
        wait_for(NAME, patience, Duration::from_millis(5), ready)?;
        Ok(Self { process, address })
    }

    /// Has new workers take over (nginx(8), `reload`). It does not say when they have.
    pub(crate) fn reload(&self) -> Result<()> {
        let pid = i32::try_from(self.process.pid())
            .ok()
            .and_then(Pid::from_raw);
        Ok(kill_process(
            pid.ok_or("nginx has no number")?,
            Signal::HUP,
        )?)
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.end(Signal::TERM)
    }
}

fn configuration(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    // Root's workers would become somebody who may not write here.
    let user = if rustix::process::geteuid().is_root() {
        "user root;\n"
    } else {
        ""
    };
    format!(
        "{user}daemon off;\nworker_processes auto;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
         access_log off;\nkeepalive_requests 1000000;\nclient_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\n\
         fastcgi_temp_path {folder}/fastcgi;\nuwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n\
         server {{ listen {address}; location / {{ return 200 'one line\\n'; }} }}\n\
         }}\n"
    )
}
