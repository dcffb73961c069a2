//! The policies of the endpoints that a plugin is granted, read when it is loaded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet_capability::endpoint::{Address, Policy, Target};
use fleet_model::Name;

use crate::digest::Digest;
use crate::grants::EndpointGrant;

/// The largest policy that is read.
const MAX_POLICY_BYTES: u64 = 1 << 20;

/// What may be asked of endpoints.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// By the names plugins use.
    pub(super) targets: BTreeMap<Name, Arc<Target>>,
    /// The files they were read from, as they were.
    pub(super) files: BTreeMap<PathBuf, Digest>,
}

/// Reads what these grants name.
///
/// # Errors
/// Which policy cannot be used, and why: file, line, and what is wrong.
pub(super) async fn read(
    folder: &Path,
    granted: &BTreeMap<Name, EndpointGrant>,
) -> Result<Policies, String> {
    if granted.is_empty() {
        return Ok(Policies::default());
    }
    let (folder, granted) = (folder.to_owned(), granted.clone());
    let work = move || {
        let mut policies = Policies::default();
        for (name, grant) in granted {
            let (target, digest) = target(&folder, &grant)
                .map_err(|error| format!("its endpoint `{name}` cannot be used: {error}"))?;
            policies.targets.insert(name, Arc::new(target));
            policies.files.insert(folder.join(&grant.policy), digest);
        }
        Ok(policies)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| format!("a task of the host failed: {error}"))?
}

/// Whether this file is what it was.
pub(crate) fn unchanged(path: &Path, digest: Digest) -> bool {
    bytes(path).is_ok_and(|bytes| Digest::of(&bytes) == digest)
}

fn target(folder: &Path, grant: &EndpointGrant) -> Result<(Target, Digest), String> {
    let address: Address = grant.address.parse()?;
    let path: PathBuf = folder.join(&grant.policy);
    let bytes = bytes(&path)
        .map_err(|error| format!("cannot read the policy {}: {error}", path.display()))?;
    let digest = Digest::of(&bytes);
    if let Some(wanted) = grant.policy_digest
        && wanted != digest
    {
        return Err(format!(
            "the policy {} is not the one that was granted: its digest is {digest:?}, `policy_digest` says {wanted:?}",
            path.display()
        ));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("the policy {} is no UTF-8 text", path.display()))?;
    let policy = Policy::parse(&path.display().to_string(), &text)?;
    Ok((Target { address, policy }, digest))
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_POLICY_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_POLICY_BYTES {
        return Err(std::io::Error::other(format!(
            "it is larger than {MAX_POLICY_BYTES} bytes"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "schema = 1\n[[rules]]\nname = \"look\"\nmethod = \"GET\"\npath = \"/a\"\neffect = \"read\"\n";

    fn grant(policy: &str, policy_digest: Option<Digest>) -> BTreeMap<Name, EndpointGrant> {
        let grant = EndpointGrant {
            address: "unix:///e.sock".to_owned(),
            policy: policy.into(),
            policy_digest,
        };
        BTreeMap::from([("engine".parse().unwrap(), grant)])
    }

    #[tokio::test]
    async fn a_policy_is_read_from_beside_the_plugins_or_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("good.toml"), POLICY).unwrap();
        std::fs::write(
            folder.path().join("bad.toml"),
            format!("{POLICY}color = 1\n"),
        )
        .unwrap();
        let read = |file: &str, digest| {
            let granted = grant(file, digest);
            let folder = folder.path().to_owned();
            async move { super::read(&folder, &granted).await }
        };
        for digest in [None, Some(Digest::of(POLICY.as_bytes()))] {
            let policies = read("good.toml", digest).await.unwrap();
            assert_eq!(policies.targets.len(), 1);
            for (file, digest) in &policies.files {
                assert!(unchanged(file, *digest));
                assert!(!unchanged(&file.with_extension("gone"), *digest));
            }
        }
        let absolute = folder.path().join("good.toml").display().to_string();
        assert_eq!(read(&absolute, None).await.unwrap().files.len(), 1);
        for (file, digest, want) in [
            ("none.toml", None, "cannot read the policy"),
            ("bad.toml", None, "bad.toml:7: unknown field `color`"),
            ("good.toml", Some(Digest::of(b"x")), "policy_digest"),
        ] {
            let error = read(file, digest).await.unwrap_err();
            assert!(
                error.contains("`engine`") && error.contains(want),
                "{error}"
            );
        }
    }
}
