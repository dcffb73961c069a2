//! The folders of workloads, as far as the node itself touches them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_capability::SecretValue;
use fleet_capability::secret::no_secret;
use fleet_capability::workspace::{Tree, Usage, WorkspaceFile, Workspaces};
use fleet_model::spec::{FileContent, FileMode, WorkloadSpec};
use fleet_model::{Error, Name, WorkloadId};

/// Workspaces and logs of workloads, owned by the host whatever the backend.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// Puts files into a workload's workspace, each whole or not at all, and never outside it.
    async fn write(&self, workload: WorkloadId, files: Vec<WorkspaceFile>) -> Result<(), Error>;

    /// How much disk a workload's files take.
    async fn usage(&self, workload: WorkloadId) -> Result<Usage, Error>;

    /// Opens a workload's workspace; `no-workspace` where there is none.
    async fn tree(&self, workload: WorkloadId) -> Result<Tree, Error>;

    /// Removes all files of a workload. Fine if there are none.
    async fn remove(&self, workload: WorkloadId) -> Result<(), Error>;
}

#[async_trait]
impl Files for Workspaces {
    async fn write(&self, workload: WorkloadId, files: Vec<WorkspaceFile>) -> Result<(), Error> {
        let folders = self.clone();
        blocking(move || folders.write_files(workload, &files)).await
    }

    async fn usage(&self, workload: WorkloadId) -> Result<Usage, Error> {
        let folders = self.clone();
        blocking(move || Workspaces::usage(&folders, workload)).await
    }

    async fn tree(&self, workload: WorkloadId) -> Result<Tree, Error> {
        let folders = self.clone();
        blocking(move || Workspaces::tree(&folders, workload)).await
    }

    async fn remove(&self, workload: WorkloadId) -> Result<(), Error> {
        let folders = self.clone();
        blocking(move || Workspaces::remove(&folders, workload)).await
    }
}

/// Does what blocks on the disk where that is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::internal("files", "work on a workload's folder was cut short"))?
}

/// The secrets whose values are the content of files.
pub(crate) fn secrets(spec: &WorkloadSpec) -> BTreeSet<Name> {
    let contents = spec.files.values().map(|file| &file.content);
    contents
        .filter_map(|content| match content {
            FileContent::Secret(name) => Some(name.clone()),
            FileContent::Text(_) | FileContent::Base64(_) => None,
        })
        .collect()
}

/// The files a spec asks for, with what is in them.
///
/// # Errors
/// `invalid` for content that cannot be read; `not-found` for a secret without a value.
pub(crate) fn contents(
    spec: &WorkloadSpec,
    secrets: &BTreeMap<Name, SecretValue>,
) -> Result<Vec<WorkspaceFile>, Error> {
    let file = |(path, file): (&String, &fleet_model::spec::FileSpec)| {
        let (bytes, usual) = match &file.content {
            FileContent::Text(text) => (SecretValue::new(text.clone().into_bytes()), 0o644),
            FileContent::Base64(text) => {
                let bytes = STANDARD.decode(text).map_err(|error| {
                    Error::invalid(
                        "invalid-file",
                        format!("the file `{path}` is not base64: {error}"),
                    )
                })?;
                (SecretValue::new(bytes), 0o644)
            }
            FileContent::Secret(name) => {
                let value = secrets.get(name).ok_or_else(|| no_secret(name))?;
                (value.clone(), 0o600)
            }
        };
        Ok(WorkspaceFile {
            path: path.clone(),
            bytes,
            mode: file.mode.map_or(usual, FileMode::bits),
        })
    };
    spec.files.iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_content_becomes_bytes_with_a_fitting_mode() {
        let spec: WorkloadSpec = serde_json::from_value(json!({"files": {
            "a": "text", "b": {"base64": "AAE="}, "c": {"secret": "key"}, "d": {"secret": "key", "mode": "0440"}
        }}))
        .unwrap();
        let key: Name = "key".parse().unwrap();
        assert_eq!(secrets(&spec), BTreeSet::from([key.clone()]));
        let values = BTreeMap::from([(key, SecretValue::new(b"v".to_vec()))]);
        let seen: Vec<_> = contents(&spec, &values)
            .unwrap()
            .into_iter()
            .map(|file| (file.path, file.bytes.expose().to_vec(), file.mode))
            .collect();
        assert_eq!(
            seen,
            [
                ("a".to_owned(), b"text".to_vec(), 0o644),
                ("b".to_owned(), vec![0, 1], 0o644),
                ("c".to_owned(), b"v".to_vec(), 0o600),
                ("d".to_owned(), b"v".to_vec(), 0o440),
            ]
        );
        assert_eq!(
            contents(&spec, &BTreeMap::new()).unwrap_err().code,
            "no-secret"
        );
    }
}
