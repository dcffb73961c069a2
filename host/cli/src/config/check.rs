//! What a host refuses of settings that are each in order: `run` before it changes anything, and
//! `config check`.

use std::net::SocketAddr;

use super::settings::{Role, Settings};
use crate::failure::{Exit, Failure};

/// How seldom the plugin folder is looked at without an event, at least.
const LEAST_RESCAN_MS: u64 = 100;

/// Refuses what this build cannot run with.
pub(crate) fn check(settings: &Settings) -> Result<(), Failure> {
    role(settings.role)?;
    loopback(settings.listen)?;
    heartbeat(settings)?;
    rescan(settings)?;
    match &settings.plugins {
        Some(plugins) if !plugins.is_dir() => Err(Failure::usage(format!(
            "there is no plugin folder {}",
            plugins.display()
        ))
        .help("name the folder that holds NAME.wasm and NAME.toml with --plugins DIR")),
        // It may still be named on the command line.
        Some(_) | None => Ok(()),
    }
}

fn role(role: Role) -> Result<(), Failure> {
    if role == Role::All {
        return Ok(());
    }
    let message = format!("this build cannot run `--role {}` alone", role.as_str());
    Err(Failure::new(Exit::Refused, message).help("leave --role out, or say `--role all`"))
}

/// Refuses what others could reach.
fn loopback(address: SocketAddr) -> Result<(), Failure> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message = format!(
        "{address} can be reached from other machines, and only loopback addresses are served without TLS"
    );
    Err(Failure::new(Exit::Refused, message)
        .help("listen on 127.0.0.1 or [::1], as in `--listen 127.0.0.1:7300`"))
}

/// Refuses what would never be done looking.
fn rescan(settings: &Settings) -> Result<(), Failure> {
    if settings.swap.rescan_ms >= LEAST_RESCAN_MS {
        return Ok(());
    }
    let message = format!(
        "the plugin folder would be looked at every {} ms: set at least {LEAST_RESCAN_MS}ms",
        settings.swap.rescan_ms
    );
    Err(Failure::usage(message).help("it is the key `swap.rescan` of fleet-host.toml"))
}

#[cfg(feature = "controller")]
fn heartbeat(settings: &Settings) -> Result<(), Failure> {
    let mut options = fleet_controller::ControllerOptions::new("", "");
    options.heartbeat_ms = settings.heartbeat_ms();
    options.check_heartbeat().map_err(|error| {
        Failure::usage(error.to_string()).help("it is the key `heartbeat` of fleet-host.toml")
    })
}

/// Only a controller is told how often its nodes speak.
#[cfg(not(feature = "controller"))]
fn heartbeat(_: &Settings) -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;
    use crate::environment::Environment;

    #[test]
    fn what_a_host_would_refuse_is_refused_whoever_asks() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().display().to_string();
        for (variable, value, refusal) in [
            ("FLEET_LISTEN", "127.0.0.1:1", None),
            ("FLEET_LISTEN", "127.9.9.9:1", None),
            ("FLEET_LISTEN", "[::1]:1", None),
            ("FLEET_LISTEN", "0.0.0.0:1", Some((4, "without TLS"))),
            ("FLEET_LISTEN", "[::]:1", Some((4, "without TLS"))),
            ("FLEET_LISTEN", "192.168.0.1:1", Some((4, "without TLS"))),
            ("FLEET_HEARTBEAT", "1ms", None),
            ("FLEET_HEARTBEAT", "7s", None),
            ("FLEET_HEARTBEAT", "0s", Some((2, "above 0"))),
            ("FLEET_HEARTBEAT", "8s", Some((2, "at most half"))),
            ("FLEET_HEARTBEAT", "10years", Some((2, "at most half"))),
            ("FLEET_ROLE", "node", Some((4, "--role node"))),
            ("FLEET_SWAP_RESCAN", "100ms", None),
            ("FLEET_SWAP_RESCAN", "0s", Some((2, "at least 100ms"))),
            ("FLEET_PLUGINS_DIR", there.as_str(), None),
            (
                "FLEET_PLUGINS_DIR",
                "/nowhere",
                Some((2, "no plugin folder /nowhere")),
            ),
        ] {
            let environment = Environment::of([(variable, value), ("FLEET_DATA", "/d")]);
            let settings = load(None, &Vec::new(), &environment).unwrap().settings;
            match (check(&settings), refusal) {
                (Ok(()), None) => {}
                (Err(failure), Some((code, text))) => {
                    assert_eq!(failure.exit as u8, code, "{variable}={value}: {failure:?}");
                    assert!(failure.message.contains(text), "{failure:?}");
                    assert!(failure.help.is_some(), "{failure:?}");
                }
                (outcome, _) => panic!("{variable}={value}: {outcome:?}"),
            }
        }
    }
}
