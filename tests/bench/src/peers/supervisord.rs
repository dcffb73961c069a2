//! supervisord (<https://supervisord.org>): one configuration, all programs from it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::Result;
use crate::process::Owned;
use crate::stopwatch::{now, wait_for};

/// Its name in tables.
pub(crate) const NAME: &str = "supervisord";

/// How long it may take to start all programs.
const START: Duration = Duration::from_secs(300);
/// How often to look at its log.
const LOOK: Duration = Duration::from_millis(5);

/// Seconds from the start of supervisord until it calls all programs RUNNING.
pub(crate) fn crowd(program: &Path, folder: &Path, command: &[&str], count: usize) -> Result<f64> {
    let configuration = folder.join("supervisord.conf");
    std::fs::write(&configuration, configured(folder, command, count))?;
    let log = folder.join("supervisord.log");
    let mut start = Command::new(program);
    start
        .arg("--nodaemon")
        .arg("--configuration")
        .arg(&configuration)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let began = now();
    let mut process = Owned::spawn(&mut start)?;
    let all_run = || {
        process
            .check()
            .map_err(|error| format!("{error}; see {}", log.display()))?;
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        Ok((said.matches("entered RUNNING state").count() >= count).then_some(()))
    };
    wait_for("supervisord to start all programs", START, LOOK, all_run)?;
    let taken = began.elapsed().as_secs_f64();
    process.end(Signal::TERM)?;
    Ok(taken)
}

/// Programs are RUNNING as soon as they are spawned (`startsecs=0`), their output goes to files, as
/// ours does.
fn configured(folder: &Path, command: &[&str], count: usize) -> String {
    let place = folder.display();
    let mut text = format!(
        "[supervisord]\nlogfile={place}/supervisord.log\npidfile={place}/supervisord.pid\nchildlogdir={place}\nminfds=10000\nminprocs=4096\n"
    );
    for number in 0..count {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "[program:w{number}]\ncommand={}\nstartsecs=0\nautorestart=false\nstdout_logfile={place}/{number}.out\nstderr_logfile={place}/{number}.err\n",
            command.join(" ")
        );
    }
    text
}
