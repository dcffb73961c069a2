//! What a C compiler lacks: bindings for a world, and a component around a module.
//!
//! Both are done by the libraries that `wit-bindgen` and `wasm-tools` are made of, so that an author needs
//! neither.

use std::path::Path;

use fleet_model::Error;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_bindgen_core::Files;
use wit_component::ComponentEncoder;
use wit_parser::{Resolve, WorldId};

use super::WORLD;
use crate::project::Project;

/// Reads a project's world, so that what is wrong with it is told in one way, whatever the language.
///
/// # Errors
/// `invalid` (`bad-wit`) with the place and what to do.
pub(super) fn world(project: &Project) -> Result<(), Error> {
    read(&project.root.join("wit"), WORLD).map(|_| ())
}

fn read(wit: &Path, world: &str) -> Result<(Resolve, WorldId), Error> {
    let refused = |why: String| {
        let message = format!(
            "the world in {} cannot be read: {why}\n\
             use what this host has, which `fleet-host plugin sdk` writes into wit/deps and \
             `fleet-host plugin contract` prints",
            wit.display()
        );
        Error::invalid("bad-wit", message)
    };
    let mut resolve = Resolve::default();
    let (package, _) = match resolve.push_path(wit) {
        Ok(read) => read,
        // With the file and the line.
        Err(error) => return Err(refused(resolve.render_error(&error))),
    };
    let world = resolve
        .select_world(&[package], Some(world))
        .map_err(|error| refused(format!("{error:#}")))?;
    Ok((resolve, world))
}

/// Header, source and type information of a world: file name and content.
///
/// # Errors
/// `invalid` (`bad-wit`).
pub(super) fn bindings(wit: &Path, world: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let (mut resolve, world) = read(wit, world)?;
    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    generator
        .generate(&mut resolve, world, &mut files)
        .map_err(|error| {
            let message = format!("no bindings can be made of {}: {error:#}", wit.display());
            Error::invalid("bad-wit", message)
        })?;
    let owned = |(name, content): (&str, &[u8])| (name.to_owned(), content.to_vec());
    Ok(files.iter().map(owned).collect())
}

/// A component around a module that was linked with such bindings.
///
/// # Errors
/// `invalid` (`does-not-build`).
pub(super) fn componentize(module: &[u8]) -> Result<Vec<u8>, Error> {
    let encode = || {
        ComponentEncoder::default()
            .module(module)?
            .adapter(
                WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
                WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
            )?
            .validate(true)
            .encode()
    };
    encode().map_err(|error| {
        let message = format!("no component can be made of build/plugin.wasm: {error:#}");
        Error::invalid("does-not-build", message)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::language::Language;
    use crate::layout;

    #[test]
    fn the_contract_has_bindings_for_c_and_a_wrong_one_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let files = layout::template(Language::C, &"a".parse().unwrap());
        for (path, text) in files.into_iter().chain(layout::sdk(Language::C)) {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let wit = folder.path().join("wit");
        let made = bindings(&wit, "plugin").unwrap();
        let names: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
        for needed in ["plugin.h", "plugin.c", "plugin_component_type.o"] {
            assert!(names.contains(&needed), "{names:?}");
        }
        fs::write(
            wit.join("world.wit"),
            "package a:b;\nworld plugin { import c; }",
        )
        .unwrap();
        let error = bindings(&wit, "plugin").unwrap_err();
        assert_eq!(error.code, "bad-wit");
        assert!(error.message.contains("world.wit:2"), "{error}");
        fs::write(
            wit.join("world.wit"),
            "package a:b;\nworld plugin { import fleet:host/log@0.9.0; }",
        )
        .unwrap();
        let error = bindings(&wit, "plugin").unwrap_err();
        for said in ["fleet:host@0.9.0", "world.wit", "fleet-host plugin sdk"] {
            assert!(error.message.contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_no_module_is_told() {
        assert_eq!(componentize(b"junk").unwrap_err().code, "does-not-build");
    }
}
