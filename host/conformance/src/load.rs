//! From a file to a backend that can be tested.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet_model::{Error, Name};
use fleet_plugin::manifest::Manifest;
use fleet_plugin::{Grants, Usual, manifests};

use crate::ability::Abilities;
use crate::bench::{Bench, Setup};
use crate::grant;
use crate::kit::KitOptions;
use crate::parts::Parts;
use crate::report::About;
use crate::stage::Backend;

/// A backend that was loaded once, and so can be again.
pub(crate) struct Loaded {
    pub(crate) setup: Arc<Setup>,
    pub(crate) backend: Arc<Backend>,
    pub(crate) about: About,
}

/// Copies a component into a temporary folder and takes it into use there.
///
/// # Errors
/// As [`Kit::open`](crate::Kit::open).
pub(crate) async fn load(options: KitOptions) -> Result<Loaded, Error> {
    let root = tempfile::Builder::new()
        .prefix("fleet-conformance-")
        .tempdir()
        .map_err(|error| not_written("make a temporary folder", &error))?;
    let plugins = root.path().join("plugins");
    copy(&options.file, &plugins)?;
    let manifest = manifests(&plugins)?.into_iter().next();
    let (grants, grants_path) = granted(
        options.grants.as_deref(),
        manifest.as_ref(),
        &options.usual,
        root.path(),
    )?;
    let name = match &manifest {
        Some(manifest) => manifest.name.clone(),
        None => unnamed()?,
    };
    let setup = Arc::new(Setup {
        root,
        name,
        grants,
        grants_path,
        cache: options.cache,
        shim: options.shim,
        compile: options.compile,
        clock: options.clock,
        entropy: options.entropy,
    });
    let plugin = Bench::open(setup.clone(), "look").await?.plugin()?;
    let Some(manifest) = manifest else {
        let message = "it has no manifest that can be read";
        return Err(Error::invalid("rejected", message));
    };
    if !plugin.usable {
        let reason = plugin.reason.as_deref().unwrap_or("it does not say why");
        return Err(Error::unsupported(
            "unusable",
            format!("`{}` cannot work here: {reason}", plugin.name),
        ));
    }
    let about = About {
        name: plugin.name.clone(),
        version: manifest.version.clone(),
        digest: plugin.digest.clone().unwrap_or_default(),
        grants: setup.grants.summary(),
        grants_file: options.grants.map(|file| file.display().to_string()),
    };
    let backend = Backend {
        abilities: Abilities::of(&plugin, &manifest),
        parts: Parts::new(manifest.conformance.clone()),
        manifest,
    };
    Ok(Loaded {
        setup,
        backend: Arc::new(backend),
        about,
    })
}

/// What is granted, and where that stands: a file of somebody's, or one in the temporary folder.
fn granted(
    named: Option<&Path>,
    manifest: Option<&Manifest>,
    usual: &[Usual],
    root: &Path,
) -> Result<(Grants, PathBuf), Error> {
    if let Some(file) = named {
        return Ok((Grants::read(file)?, file.to_owned()));
    }
    let file = root.join("grants.toml");
    let text = manifest.map(|manifest| grant::all_it_asks(manifest, usual));
    let text = text.unwrap_or_default();
    std::fs::write(&file, &text)
        .map_err(|error| not_written(&format!("write {}", file.display()), &error))?;
    Ok((Grants::parse(&file.display().to_string(), &text)?, file))
}

/// Copies `NAME.wasm` and, where they are, `NAME.toml` and `NAME.policy.toml` into a folder, so that
/// nothing changes under the cases.
fn copy(file: &Path, folder: &Path) -> Result<(), Error> {
    let unread = |path: &Path, error: std::io::Error| {
        let message = format!("cannot read {}: {error}", path.display());
        Error::invalid("no-such-file", message)
    };
    let is_component = file
        .extension()
        .is_some_and(|extension| extension == "wasm");
    let Some(name) = file.file_name().filter(|_| is_component) else {
        let message = format!(
            "{} is no component: name a file NAME.wasm with NAME.toml beside it",
            file.display()
        );
        return Err(Error::invalid("no-component", message));
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| not_written(&format!("make {}", folder.display()), &error))?;
    std::fs::copy(file, folder.join(name)).map_err(|error| unread(file, error))?;
    for extension in ["toml", "policy.toml"] {
        let beside = file.with_extension(extension);
        if beside.exists() {
            let copy = folder.join(name).with_extension(extension);
            std::fs::copy(&beside, copy).map_err(|error| unread(&beside, error))?;
        }
    }
    Ok(())
}

fn not_written(doing: &str, error: &std::io::Error) -> Error {
    Error::unavailable("no-folder", format!("cannot {doing}: {error}"))
}

/// A name for what has no manifest: the host says why, under its file's name.
fn unnamed() -> Result<Name, Error> {
    "unnamed"
        .parse()
        .map_err(|error| Error::internal("bad-name", format!("{error}")))
}
