//! The container a workload asks for, as the engine's words.
//!
//! Only what the workload says. Its owner labels, its limits, its published ports, the folder behind its
//! workspace and all that keeps it apart from the machine are put in by the host, as the policy says.

use std::collections::BTreeMap;

use fleet_sdk::Error;
use fleet_sdk::driver::Workload;
use serde::Serialize;

use crate::config::{Config, Network};

/// The body of `POST /containers/create`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    image: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cmd: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
    #[serde(skip_serializing_if = "is_off")]
    tty: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    host_config: HostConfig,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    network_mode: &'static str,
    #[serde(skip_serializing_if = "is_off")]
    readonly_rootfs: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tmpfs: BTreeMap<String, String>,
    init: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    shm_size: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mounts: Vec<Mount>,
}

/// The workspace. Its source is the host's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    r#type: &'static str,
    target: String,
}

/// The body for this workload.
///
/// # Errors
/// `invalid` for what cannot be so.
pub(crate) fn create(workload: Workload, config: Config) -> Result<String, Error> {
    if config.network == Network::None && !workload.ports.is_empty() {
        return Err(Error::invalid(
            "ports-without-network",
            "the workload has ports and `network = \"none\"`: a port needs a network, so take one of both away",
        ));
    }
    if let Some((key, _)) = workload
        .labels
        .iter()
        .find(|(key, _)| key.starts_with("fleet."))
    {
        return Err(Error::invalid(
            "label-reserved",
            format!(
                "the label `{key}` is one of fleet-host's own: use a name that does not begin with `fleet.`"
            ),
        ));
    }
    let workspace = Some(config.workspace).filter(|target| !target.is_empty());
    let folders = config.tmpfs.into_iter();
    let body = Body {
        image: config.image,
        cmd: workload.command,
        entrypoint: config.entrypoint,
        env: environment(workload.env),
        user: config.user,
        working_dir: config.workdir,
        tty: config.terminal,
        stop_signal: config.stop_signal,
        labels: workload.labels.into_iter().collect(),
        host_config: HostConfig {
            network_mode: config.network.word(),
            readonly_rootfs: config.read_only,
            tmpfs: folders
                .map(|folder| (folder.path, format!("size={}", folder.size_bytes)))
                .collect(),
            init: config.init,
            shm_size: config.shm_bytes,
            mounts: workspace
                .map(|target| Mount {
                    r#type: "bind",
                    target,
                })
                .into_iter()
                .collect(),
        },
    };
    write(&body)
}

/// The body for a program beside a container's own.
pub(crate) fn exec(request: fleet_sdk::exec::Request) -> Result<String, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Body {
        attach_stdin: bool,
        attach_stdout: bool,
        attach_stderr: bool,
        tty: bool,
        cmd: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        env: Vec<String>,
    }
    let is_null = |(name, value): &(String, String)| name == "stdin" && value == "null";
    write(&Body {
        attach_stdin: !request.attributes.iter().any(is_null),
        attach_stdout: true,
        attach_stderr: true,
        tty: request.terminal.is_some(),
        cmd: request.command,
        env: environment(request.env),
    })
}

fn environment(env: Vec<(String, String)>) -> Vec<String> {
    env.into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn write<T: Serialize>(body: &T) -> Result<String, Error> {
    serde_json::to_string(body).map_err(|error| {
        Error::internal(
            "body-unwritable",
            format!(
                "the request does not fit into JSON: {error}; report it to the plugin's author"
            ),
        )
    })
}

/// By reference, as serde asks it.
fn is_off(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests;
