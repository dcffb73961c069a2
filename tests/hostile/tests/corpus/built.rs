//! The hostile plugins, built once per change of their sources.

use std::path::{Path, PathBuf};

use fleet_e2e::author::{cache, lock, project, ran};
use fleet_e2e::{Toolchain, binary};

/// Over all files and their names, in one order on every machine; tools and what they made do not count.
const DIGEST: &str = "find . -type f -not -path './node_modules/*' -not -path './.venv/*' -print0 | LC_ALL=C sort -z \
                      | xargs -0 sha256sum | sha256sum | cut -c 1-64";

/// The folder with the component of a language and its manifest; none where its toolchain is not here.
pub(crate) fn built(toolchain: Toolchain) -> Option<PathBuf> {
    if !toolchain.is_here() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(toolchain.lang());
    let root = project(&source, toolchain, folder.path());
    let digest = ran(&root, &["bash", "-c", DIGEST]).trim().to_owned();
    let kept = cache("hostile");
    // Projects of one name share cargo's folder: from its build to the copy it is one's own.
    let _lock = lock(&kept.join(format!("{}.lock", toolchain.lang())));
    let place = kept.join(format!("{}-{digest}", toolchain.lang()));
    if !place.exists() {
        ran(&root, &[&binary().display().to_string(), "plugin", "build"]);
        // Whole or not there, whenever this is ended.
        let whole = tempfile::tempdir_in(&kept).unwrap().keep();
        for file in ["hostile.wasm", "hostile.toml"] {
            std::fs::copy(root.join("dist").join(file), whole.join(file)).unwrap();
        }
        std::fs::rename(&whole, &place).unwrap();
    }
    Some(place)
}
