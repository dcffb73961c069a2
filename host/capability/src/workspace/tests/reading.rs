//! Reading and listing, also of what changes meanwhile.

use std::io::Write as _;

use fleet_model::file::FileKind;
use sha2::{Digest, Sha256};

use super::super::read::{Links, hex};
use super::*;

#[test]
fn a_part_of_a_file_is_read_as_it_is() {
    let (_folder, workspaces, path) = workspaces();
    let content: Vec<u8> = (0..=255).collect();
    fs::write(path.join("a"), &content).unwrap();
    let tree = workspaces.tree(id()).unwrap();
    for (offset, length, expected) in [
        (0, None, 0..256),
        (10, None, 10..256),
        (10, Some(5), 10..15),
        (250, Some(u64::MAX), 250..256),
        (256, None, 256..256),
    ] {
        let mut reading = tree.read("a", offset, length).unwrap();
        assert_eq!(reading.entry().size, 256);
        assert_eq!(reading.next(1 << 20).unwrap(), content[expected]);
        assert_eq!(reading.next(1 << 20).unwrap(), b""[..]);
    }
    let error = tree.read("a", 257, None).unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.details["size"].as_str()),
        ("beyond-end", "256")
    );
    assert_eq!(tree.read("b", 0, None).unwrap_err().code, "no-such-file");
    assert_eq!(tree.read("", 0, None).unwrap_err().code, "is-a-folder");
}

#[test]
fn a_file_that_grows_or_shrinks_meanwhile_is_read_as_far_as_it_was() {
    let (_folder, workspaces, path) = workspaces();
    fs::write(path.join("a"), "0123456789").unwrap();
    let tree = workspaces.tree(id()).unwrap();
    let mut growing = tree.read("a", 0, None).unwrap();
    assert_eq!(growing.next(4).unwrap(), "0123");
    let mut shrinking = tree.read("a", 0, None).unwrap();
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(path.join("a"))
        .unwrap();
    file.write_all(b"more").unwrap();
    assert_eq!(growing.next(100).unwrap(), "456789");
    assert_eq!(growing.next(100).unwrap(), "");
    assert_eq!(
        (growing.entry().size, growing.now().unwrap().size),
        (10, 14)
    );
    assert_ne!(growing.entry().tag(), growing.now().unwrap().tag());
    file.set_len(3).unwrap();
    assert_eq!(shrinking.next(100).unwrap(), "012");
    assert_eq!(shrinking.next(100).unwrap(), "");
    // One that was replaced is still the one that was opened.
    let mut replaced = tree.read("a", 0, None).unwrap();
    put(workspaces.tree(id()).unwrap(), "a", b"new").unwrap();
    assert_eq!(replaced.next(100).unwrap(), "012");
}

#[test]
fn what_is_there_is_told() {
    let (_folder, workspaces, path) = workspaces();
    fs::write(path.join("file"), "12345").unwrap();
    fs::set_permissions(path.join("file"), fs::Permissions::from_mode(0o4750)).unwrap();
    fs::create_dir(path.join("folder")).unwrap();
    symlink("file", path.join("link")).unwrap();
    symlink("nowhere", path.join("dangling")).unwrap();
    let tree = workspaces.tree(id()).unwrap();
    let file = tree.stat("file", Links::Keep).unwrap();
    assert_eq!(
        (file.name.as_str(), file.kind, file.size, file.mode),
        ("file", FileKind::File, 5, 0o750)
    );
    let modified = fs::metadata(path.join("file")).unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(u128::from(file.modified_ms), since.as_millis());
    let folder = tree.stat("folder", Links::Keep).unwrap();
    assert_eq!((folder.kind, folder.size), (FileKind::Folder, 0));
    let link = tree.stat("link", Links::Keep).unwrap();
    assert_eq!(
        (link.kind, link.target.as_deref()),
        (FileKind::Link, Some("file"))
    );
    assert_eq!(tree.stat("link", Links::Follow).unwrap().size, 5);
    assert_eq!(
        tree.stat("dangling", Links::Keep)
            .unwrap()
            .target
            .as_deref(),
        Some("nowhere")
    );
    let error = tree.stat("dangling", Links::Follow).unwrap_err();
    assert_eq!(error.code, "no-such-file");
    let own = tree.stat("", Links::Keep).unwrap();
    assert_eq!((own.name.as_str(), own.kind), ("", FileKind::Folder));
    let listed = tree.list("", None, 100).unwrap();
    let names: Vec<_> = listed
        .entries
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(
        (names, listed.next),
        (vec!["dangling", "file", "folder", "link"], None)
    );
    assert_eq!(listed.entries[1], file);
    assert_eq!(listed.entries[3], link);
}

#[test]
fn a_folder_is_told_page_by_page_in_order() {
    let (_folder, workspaces, path) = workspaces();
    for n in 0..1_234 {
        fs::write(path.join(format!("{n:05}")), "").unwrap();
    }
    let tree = workspaces.tree(id()).unwrap();
    let (mut seen, mut after, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let page = tree.list("", after.as_deref(), 100).unwrap();
        assert!(page.entries.len() <= 100);
        seen.extend(page.entries.into_iter().map(|entry| entry.name));
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let expected: Vec<_> = (0..1_234).map(|n| format!("{n:05}")).collect();
    assert_eq!((seen, pages), (expected, 13));
    // A page that ends where the folder does says so.
    assert_eq!(tree.list("", Some("01133"), 100).unwrap().next, None);
}

#[test]
fn a_page_of_very_long_links_is_cut_so_that_it_fits_into_a_frame() {
    let (_folder, workspaces, path) = workspaces();
    for n in 0..200 {
        symlink("x".repeat(4_000), path.join(format!("{n:03}"))).unwrap();
    }
    let tree = workspaces.tree(id()).unwrap();
    let (mut seen, mut after) = (0, None::<String>);
    loop {
        let page = tree.list("", after.as_deref(), 1_000).unwrap();
        assert!(serde_json::to_vec(&page.entries).unwrap().len() < 300 * 1024);
        seen += page.entries.len();
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, 200);
}

#[test]
fn a_hash_counts_what_it_took() {
    let mut hash = Hash::default();
    hash.update(b"ab");
    hash.update(b"c");
    assert_eq!(hash.bytes(), 3);
    assert_eq!(hash.finish(), hex(&Sha256::digest(b"abc")));
}
