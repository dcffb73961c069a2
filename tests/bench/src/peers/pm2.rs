//! pm2 (<https://pm2.keymetrics.io>): a daemon, told to start all programs of one file.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::Result;
use crate::stopwatch::now;

/// Its name in tables.
pub(crate) const NAME: &str = "pm2";

/// Seconds from `pm2 start` until it returns with all programs online. The daemon runs before.
pub(crate) fn crowd(program: &Path, folder: &Path, command: &[&str], count: usize) -> Result<f64> {
    let (script, arguments) = command.split_first().ok_or("no program")?;
    let pm2 = |arguments: &[&str]| {
        let mut pm2 = Command::new(program);
        pm2.args(arguments)
            .current_dir(folder)
            .env("PM2_HOME", folder.join("pm2"))
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        pm2
    };
    let programs: Vec<Value> = (0..count)
        .map(|number| {
            json!({
                "name": format!("w{number}"), "script": script, "args": arguments, "interpreter": "none",
                "exec_mode": "fork", "autorestart": false,
            })
        })
        .collect();
    std::fs::write(
        folder.join("programs.json"),
        json!({ "apps": programs }).to_string(),
    )?;
    let daemon = Daemon(pm2(&["kill", "--silent"]));
    done(pm2(&["ping", "--silent"]))?;
    let began = now();
    done(pm2(&["start", "programs.json", "--silent"]))?;
    let taken = began.elapsed().as_secs_f64();
    let listed = pm2(&["jlist"]).output()?;
    drop(daemon);
    let online = online(&String::from_utf8_lossy(&listed.stdout));
    if online == count {
        Ok(taken)
    } else {
        Err(format!("{online} of {count} programs are online").into())
    }
}

fn done(mut command: Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} failed ({status})").into())
    }
}

/// How many programs a list in JSON, its last line, calls online.
fn online(list: &str) -> usize {
    let last = list.lines().last().unwrap_or_default();
    let programs: Vec<Value> = serde_json::from_str(last).unwrap_or_default();
    let is_online = |program: &&Value| {
        program
            .pointer("/pm2_env/status")
            .is_some_and(|status| status == "online")
    };
    programs.iter().filter(is_online).count()
}

/// Ends the daemon and all it started, whatever happened meanwhile.
struct Daemon(Command);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.stdout(Stdio::null()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_are_online_are_counted() {
        let list = "notice\n[{\"pm2_env\":{\"status\":\"online\"}},{\"pm2_env\":{\"status\":\"errored\"}}]";
        assert_eq!((online(list), online("")), (1, 0));
    }
}
