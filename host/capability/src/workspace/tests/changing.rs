//! Folders, other names, removal.

use super::super::change::{Depth, Taken};
use super::*;

#[test]
fn folders_are_made_with_those_above_them_and_again_is_fine() {
    let (_folder, workspaces, path) = workspaces();
    let tree = workspaces.tree(id()).unwrap();
    for _ in 0..2 {
        tree.make_folder("a/b/c").unwrap();
        assert!(path.join("a/b/c").is_dir());
    }
    symlink("a/b", path.join("link")).unwrap();
    tree.make_folder("link").unwrap();
    tree.make_folder("link/new").unwrap();
    assert_eq!(names(&path.join("a/b")), ["c", "new"]);
    symlink("nowhere", path.join("dangling")).unwrap();
    assert_eq!(
        tree.make_folder("dangling").unwrap_err().code,
        "not-a-folder"
    );
}

#[test]
fn something_gets_another_path_and_nothing_is_replaced_unasked() {
    let (_folder, workspaces, path) = workspaces();
    let tree = workspaces.tree(id()).unwrap();
    fs::write(path.join("a"), "a").unwrap();
    fs::write(path.join("b"), "b").unwrap();
    fs::create_dir_all(path.join("folder/inner")).unwrap();
    fs::create_dir(path.join("empty")).unwrap();
    let moved =
        |from: &str, to: &str, taken| tree.rename(from, to, taken).map_err(|error| error.code);
    let code = |code: &str| Err(code.to_owned());
    assert_eq!(moved("a", "b", Taken::Keep), code("file-in-the-way"));
    assert_eq!(moved("a", "a", Taken::Keep), code("file-in-the-way"));
    assert_eq!(moved("a", "empty", Taken::Replace), code("is-a-folder"));
    assert_eq!(
        moved("folder", "empty", Taken::Replace),
        code("is-a-folder")
    );
    assert_eq!(
        moved("folder", "empty", Taken::Keep),
        code("file-in-the-way")
    );
    assert_eq!(moved("folder", "a", Taken::Replace), code("not-a-folder"));
    assert_eq!(
        moved("folder", "folder/inner/x", Taken::Keep),
        code("into-itself")
    );
    symlink("folder/inner", path.join("way")).unwrap();
    assert_eq!(moved("folder", "way/x", Taken::Keep), code("into-itself"));
    assert_eq!(moved("none", "c", Taken::Keep), code("no-such-file"));
    assert_eq!(moved("a", "none/c", Taken::Keep), code("no-such-file"));
    assert_eq!(fs::read_to_string(path.join("b")).unwrap(), "b");
    assert_eq!(moved("a", "b", Taken::Replace), Ok(()));
    assert_eq!(fs::read_to_string(path.join("b")).unwrap(), "a");
    assert_eq!(moved("b", "way/b", Taken::Keep), Ok(()));
    assert_eq!(moved("folder", "elsewhere", Taken::Keep), Ok(()));
    assert_eq!(names(&path.join("elsewhere/inner")), ["b"]);
    // A link goes itself, whatever it points to.
    assert_eq!(moved("way", "moved", Taken::Keep), Ok(()));
    assert!(
        fs::symlink_metadata(path.join("moved"))
            .unwrap()
            .is_symlink()
    );
}

#[test]
fn a_full_folder_goes_only_with_all_that_is_in_it() {
    let (_folder, workspaces, path) = workspaces();
    let tree = workspaces.tree(id()).unwrap();
    fs::create_dir_all(path.join("folder/inner")).unwrap();
    fs::write(path.join("folder/inner/file"), "x").unwrap();
    fs::write(path.join("kept"), "kept").unwrap();
    symlink("../kept", path.join("folder/link")).unwrap();
    fs::set_permissions(path.join("folder/inner"), fs::Permissions::from_mode(0o500)).unwrap();
    let error = tree.remove("folder", Depth::One).unwrap_err();
    assert_eq!(error.code, "folder-not-empty");
    tree.remove("folder/link", Depth::One).unwrap();
    tree.remove("folder", Depth::All).unwrap();
    assert_eq!(names(&path), ["kept"]);
    assert_eq!(
        tree.remove("folder", Depth::All).unwrap_err().code,
        "no-such-file"
    );
    fs::create_dir(path.join("empty")).unwrap();
    tree.remove("empty", Depth::One).unwrap();
    tree.remove("kept", Depth::All).unwrap();
    assert_eq!(names(&path), [""; 0]);
}
