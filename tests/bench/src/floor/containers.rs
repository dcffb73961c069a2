//! The engine's API as it is, over its socket: the least that making a container takes.

use std::path::Path;

use serde_json::{Value, json};

use crate::Result;

/// A client that keeps its connections.
#[derive(Debug, Clone)]
pub(crate) struct Bare(reqwest::Client);

/// Whose name stands in requests is of no consequence on a socket.
const BASE: &str = "http://engine/v1.41";

impl Bare {
    pub(crate) fn new(socket: &Path) -> Result<Self> {
        Ok(Self(
            reqwest::Client::builder().unix_socket(socket).build()?,
        ))
    }

    /// Makes and starts a container, the same as the policy makes of what the component asks for.
    pub(crate) async fn begin(
        &self,
        workspace: &Path,
        image: &str,
        command: &[&str],
    ) -> Result<String> {
        let asked = self.0.post(format!("{BASE}/containers/create"));
        let answer = asked.json(&container(workspace, image, command));
        let id = text(&answered(answer).await?, "Id")?;
        let start = self.0.post(format!("{BASE}/containers/{id}/start"));
        start.send().await?.error_for_status()?;
        Ok(id)
    }

    /// Runs a program beside a container's own: its output, framed, and its exit code.
    pub(crate) async fn exec(&self, container: &str, command: &[&str]) -> Result<(Vec<u8>, i64)> {
        let asked = self.0.post(format!("{BASE}/containers/{container}/exec"));
        let asked = asked.json(&json!({
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": false, "Cmd": command,
        }));
        let id = text(&answered(asked).await?, "Id")?;
        let start = self.0.post(format!("{BASE}/exec/{id}/start"));
        let stream = start.json(&json!({ "Detach": false, "Tty": false }));
        let output = stream.send().await?.error_for_status()?.bytes().await?;
        let seen = answered(self.0.get(format!("{BASE}/exec/{id}/json"))).await?;
        let code = seen.get("ExitCode").and_then(Value::as_i64);
        Ok((output.to_vec(), code.ok_or("no exit code")?))
    }

    /// Looks at one.
    pub(crate) async fn inspect(&self, container: &str) -> Result<Value> {
        answered(self.0.get(format!("{BASE}/containers/{container}/json"))).await
    }

    /// Removes one, whatever it does.
    pub(crate) async fn remove(&self, container: &str) -> Result<()> {
        let path = format!("{BASE}/containers/{container}?force=1&v=1");
        self.0.delete(path).send().await?.error_for_status()?;
        Ok(())
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Result<Value> {
    Ok(request.send().await?.error_for_status()?.json().await?)
}

fn text(value: &Value, key: &str) -> Result<String> {
    let found = value.get(key).and_then(Value::as_str);
    Ok(found.ok_or("the engine answered no id")?.to_owned())
}

fn container(workspace: &Path, image: &str, command: &[&str]) -> Value {
    json!({
        "Image": image, "Cmd": command, "Env": ["FLEET_GENERATION=3"], "OpenStdin": false, "ExposedPorts": {},
        "Labels": {
            "fleet.host": "0123456789abcdef0123456789abcdef", "fleet.node": "nd_0000000000000000000000000",
            "fleet.workload": "wl_0000000000000000000000000", "fleet.generation": "3", "fleet.attempt": "1",
            "fleet.nonce": "0123456789abcdef0123456789abcdef",
        },
        "HostConfig": {
            "NetworkMode": "none", "Init": true,
            "Mounts": [{
                "Type": "bind", "Source": workspace, "Target": "/workspace",
                "BindOptions": { "Propagation": "rprivate" },
            }],
            "Binds": [], "VolumesFrom": [], "OomScoreAdj": 0, "OomKillDisable": false, "CgroupParent": "",
            "PortBindings": {}, "PublishAllPorts": false, "Privileged": false, "CapAdd": [],
            "CapDrop": ["AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP"], "SecurityOpt": ["no-new-privileges"],
            "Devices": [], "DeviceRequests": [], "DeviceCgroupRules": [], "Sysctls": {}, "Runtime": "",
            "PidMode": "", "IpcMode": "private", "UTSMode": "", "UsernsMode": "", "CgroupnsMode": "private",
            "Links": [], "ExtraHosts": [], "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 },
            "AutoRemove": false,
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "16m", "max-file": "4" } },
        },
    })
}
