//! `plugin swap`.

use std::path::{Path, PathBuf};

use clap::Args;
use fleet_client::{NewVersion, SwapWish};
use fleet_model::swap::{Adoption, MAX_COMPONENT_BYTES, MAX_MANIFEST_BYTES, SwapRun, SwapWay};

use super::waiting;
use crate::app::Context;
use crate::failure::{Failure, reason};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct SwapArgs {
    /// Its name
    name: String,
    /// The new component; NAME.toml beside it goes along, else the manifest stays as it is
    file: PathBuf,
    /// Go as far as adoption and put nothing into use
    #[arg(long)]
    dry_run: bool,
    /// Take it also where there is no way back
    #[arg(long)]
    one_way: bool,
    /// Take it also where it does not know what runs
    #[arg(long)]
    lenient: bool,
    /// On which node, where several have it
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

/// Swaps, and says how it ended.
pub(crate) async fn run(args: &SwapArgs, context: &mut Context) -> Result<(), Failure> {
    let version = NewVersion {
        component: read(&args.file, MAX_COMPONENT_BYTES)?.into(),
        manifest: manifest(&args.file)?,
    };
    let wish = SwapWish {
        run: if args.dry_run {
            SwapRun::Dry
        } else {
            SwapRun::Real
        },
        way: if args.one_way {
            SwapWay::OneWay
        } else {
            SwapWay::Back
        },
        adoption: if args.lenient {
            Adoption::Lenient
        } else {
            Adoption::Strict
        },
        node: args.node.clone(),
    };
    let swap = context.client()?.swap(&args.name, version, &wish);
    waiting::end(swap, &args.name, context).await
}

/// The manifest beside a component, if there is one.
fn manifest(component: &Path) -> Result<Option<String>, Failure> {
    let path = component.with_extension("toml");
    if path == component || !path.exists() {
        return Ok(None);
    }
    let bytes = read(&path, MAX_MANIFEST_BYTES)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Failure::usage(format!(
            "the manifest {} is not UTF-8 text",
            path.display()
        ))),
    }
}

/// A file that is not larger than the host takes.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let unread = |error: &std::io::Error| {
        Failure::usage(format!("cannot read {}: {}", path.display(), reason(error)))
            .help("name a component you can read, as in `plugin swap mock next/mock.wasm`")
    };
    let metadata = path.metadata().map_err(|error| unread(&error))?;
    if metadata.len() > most {
        let message = format!(
            "{} is larger than {} KiB, the most that a host takes",
            path.display(),
            most >> 10
        );
        return Err(
            Failure::usage(message).help("build it optimised, and strip what is for a debugger")
        );
    }
    std::fs::read(path).map_err(|error| unread(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn the_manifest_beside_a_component_goes_along() {
        let folder = tempfile::tempdir().unwrap();
        let component = folder.path().join("mock.wasm");
        assert_eq!(manifest(&component).unwrap(), None);
        std::fs::write(folder.path().join("mock.toml"), "name").unwrap();
        assert_eq!(manifest(&component).unwrap().as_deref(), Some("name"));
        std::fs::write(folder.path().join("mock.toml"), [0xff]).unwrap();
        assert_eq!(manifest(&component).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn what_cannot_be_sent_is_a_usage_error_before_anything_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let failure = read(&folder.path().join("nothing.wasm"), 9).unwrap_err();
        assert!(failure.message.contains("nothing.wasm"), "{failure:?}");
        let large = folder.path().join("large.wasm");
        std::fs::write(&large, [0; 10]).unwrap();
        let failure = read(&large, 9).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("the most"), "{failure:?}");
        assert_eq!(read(&large, 10).unwrap().len(), 10);
    }
}
