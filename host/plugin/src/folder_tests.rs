//! Files as people leave them lying about.

use std::fs;

use super::*;

fn manifest(name: &str) -> String {
    format!("name = \"{name}\"\nkind = \"backend\"\nversion = \"1\"\n")
}

#[test]
fn only_components_are_candidates_and_each_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("b.wasm", String::new()),
        ("b.toml", manifest("bee")),
        ("a.wasm", String::new()),
        ("lone.toml", manifest("lone")),
        (".hidden.wasm", String::new()),
        ("notes", String::new()),
    ] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    let seen = scan(folder.path()).unwrap();
    let names: Vec<_> = seen.iter().map(|c| (c.file.as_str(), c.name())).collect();
    assert_eq!(
        names,
        [("a.wasm", "a".to_owned()), ("b.wasm", "bee".to_owned())]
    );
    let reason = &seen[0].manifest.as_ref().unwrap_err().message;
    assert!(
        reason.contains("write a.toml") && reason.contains("name = \"a\""),
        "{reason}"
    );
}

#[test]
fn no_folder_says_what_is_expected() {
    let error = scan(Path::new("/nonexistent/plugins")).unwrap_err();
    assert_eq!(error.code, "no-plugin-folder");
    assert!(error.message.contains("NAME.wasm"), "{error}");
}

#[test]
fn all_files_of_one_name_are_refused_and_name_each_other() {
    let folder = tempfile::tempdir().unwrap();
    for (file, name) in [("a", "twin"), ("b", "twin"), ("c", "single")] {
        fs::write(folder.path().join(format!("{file}.wasm")), "").unwrap();
        fs::write(folder.path().join(format!("{file}.toml")), manifest(name)).unwrap();
    }
    let reasons = duplicates(&scan(folder.path()).unwrap());
    assert_eq!(reasons.keys().collect::<Vec<_>>(), ["a.wasm", "b.wasm"]);
    assert!(
        reasons
            .values()
            .all(|r| r.contains("a.wasm and b.wasm") && r.contains("`twin`"))
    );
}

#[test]
fn what_is_no_small_regular_file_inside_is_refused_before_it_is_read() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "x").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::write(root.join("fine"), "1234").unwrap();
    fs::create_dir(root.join("folder")).unwrap();
    std::os::unix::fs::symlink(&secret, root.join("out")).unwrap();
    std::os::unix::fs::symlink("fine", root.join("inside")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("broken")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let sparse = File::create(root.join("huge")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    for (file, want) in [
        ("fine", Ok(4)),
        ("inside", Ok(4)),
        ("folder", Err("not a regular file")),
        ("pipe", Err("not a regular file")),
        ("out", Err("outside of the plugin folder")),
        ("broken", Err("cannot be read")),
        ("huge", Err("is larger than")),
        ("missing", Err("cannot be read")),
    ] {
        match (read(&root, &root.join(file), MAX_COMPONENT_BYTES), want) {
            (Ok(bytes), Ok(length)) => assert_eq!(bytes.len(), length, "{file}"),
            (Err(reason), Err(want)) => {
                assert!(reason.message.contains(want), "{file}: {reason}");
            }
            (got, want) => panic!("{file}: {got:?}, wanted {want:?}"),
        }
    }
}
