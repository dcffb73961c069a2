//! Files on their way in: whole or not at all, gone on with after anything.

use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::super::read::hex;
use super::escapes::small_disk;
use super::*;

/// Some bytes that do not repeat soon.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 31 + n / 253) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn tree(workspaces: &Workspaces) -> Tree {
    workspaces.tree(id()).unwrap()
}

fn staged(workspaces: &Workspaces) -> Vec<String> {
    let uploads = workspaces.folder(id()).join("uploads");
    if uploads.exists() {
        names(&uploads)
    } else {
        Vec::new()
    }
}

/// Sends a part of an upload, and says how far it is.
fn send(
    workspaces: &Workspaces,
    upload: &Upload,
    bytes: &[u8],
    hash: Option<Hash>,
) -> Result<Progress, Error> {
    let mut incoming = tree(workspaces).receive(upload.clone(), NO_RESERVE, hash)?;
    incoming.write(bytes)?;
    incoming.finish()
}

#[test]
fn a_file_is_put_in_place_whole_with_its_mode_and_its_folders() {
    let (_folder, workspaces, path) = workspaces();
    let content = bytes(3_000);
    for (mode, expected) in [(None, 0o644), (Some(0o600), 0o600), (Some(0o6755), 0o755)] {
        let upload = Upload {
            mode,
            ..upload("conf/deep/app", "k", &content)
        };
        let mut incoming = tree(&workspaces).receive(upload, NO_RESERVE, None).unwrap();
        incoming.write(&content[..1_000]).unwrap();
        assert!(!path.join("conf/deep/app").exists() || mode.is_some());
        incoming.write(&content[1_000..]).unwrap();
        match incoming.finish().unwrap() {
            Progress::Placed { sha256: told } => assert_eq!(told, sha256(&content)),
            other => panic!("{other:?}"),
        }
        let placed = path.join("conf/deep/app");
        assert_eq!(fs::read(&placed).unwrap(), content);
        let metadata = fs::metadata(&placed).unwrap();
        assert_eq!(metadata.mode() & 0o7777, expected);
        let own = rustix::process::geteuid().as_raw();
        assert_eq!((metadata.uid(), metadata.nlink()), (own, 1));
        assert_eq!(staged(&workspaces), [""; 0]);
    }
}

#[test]
fn an_empty_file_is_a_file() {
    let (_folder, workspaces, path) = workspaces();
    assert_eq!(put(tree(&workspaces), "empty", b"").unwrap(), sha256(b""));
    assert_eq!(fs::read(path.join("empty")).unwrap(), b"");
}

#[test]
fn what_arrived_is_gone_on_with_after_a_crash_of_the_host() {
    let (folder, workspaces, path) = workspaces();
    let content = bytes(100_000);
    let digest = sha256(&content);
    let whole = Upload {
        sha256: Some(digest.clone()),
        ..upload("big", "k", &content)
    };
    let mut incoming = tree(&workspaces)
        .receive(whole.clone(), NO_RESERVE, None)
        .unwrap();
    incoming.write(&content[..40_000]).unwrap();
    // Nothing runs when a host is killed.
    std::mem::forget(incoming);

    let again = Workspaces::open(&folder.path().join("root")).unwrap();
    assert!(!path.join("big").exists());
    assert_eq!(tree(&again).arrived("k").unwrap(), 40_000);
    assert_eq!(tree(&again).arrived("another").unwrap(), 0);
    // The forgotten one still holds its lock, as a killed process would not.
    let error = send(
        &again,
        &Upload {
            offset: 40_000,
            ..whole.clone()
        },
        b"",
        None,
    );
    let error = error.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind.is_retryable()),
        ("upload-busy", true)
    );
    let part = workspaces.folder(id()).join("uploads");
    let part = part.join(format!("{}.part", sha256(b"k")));
    let copy = part.with_extension("copy");
    fs::copy(&part, &copy).unwrap();
    fs::rename(&copy, &part).unwrap();

    match send(
        &again,
        &Upload {
            offset: 40_000,
            ..whole
        },
        &content[40_000..],
        None,
    )
    .unwrap()
    {
        Progress::Placed { sha256 } => assert_eq!(sha256, digest),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(path.join("big")).unwrap(), content);
    assert_eq!(staged(&again), [""; 0]);
}

#[test]
fn parts_may_come_one_by_one_and_the_digest_with_the_last() {
    let (_folder, workspaces, path) = workspaces();
    let content = bytes(9_999);
    let mut hash = None;
    for (at, part) in content.chunks(1_000).enumerate() {
        let offset = at as u64 * 1_000;
        let upload = Upload {
            offset,
            sha256: (offset == 9_000).then(|| sha256(&content).to_uppercase()),
            ..upload("parts", "k", &content)
        };
        // Every third time nobody remembers what was hashed.
        let known = hash.take().filter(|_| at % 3 != 0);
        match send(&workspaces, &upload, part, known).unwrap() {
            Progress::Waiting {
                arrived,
                hash: next,
            } => {
                assert_eq!(arrived, offset + 1_000);
                hash = next;
            }
            Progress::Placed { .. } => assert_eq!(offset, 9_000),
        }
    }
    assert_eq!(fs::read(path.join("parts")).unwrap(), content);
}

#[test]
fn bytes_that_belong_elsewhere_are_refused_and_told_where_to_go_on() {
    let (_folder, workspaces, _) = workspaces();
    let content = bytes(100);
    let first = upload("a", "k", &content);
    let waiting = send(&workspaces, &first, &content[..60], None).unwrap();
    assert!(matches!(waiting, Progress::Waiting { arrived: 60, .. }));
    for offset in [0, 59, 61, 100, u64::MAX] {
        let wrong = Upload {
            offset,
            ..first.clone()
        };
        let error = send(&workspaces, &wrong, b"", None).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.details["arrived"].as_str()),
            ("upload-offset", "60")
        );
    }
    let fresh = Upload {
        offset: 1,
        ..upload("a", "other", &content)
    };
    let error = send(&workspaces, &fresh, b"", None).unwrap_err();
    assert_eq!(error.details["arrived"], "0");
    assert_eq!(tree(&workspaces).arrived("k").unwrap(), 60);
}

#[test]
fn another_digest_is_refused_and_nothing_is_left() {
    let (_folder, workspaces, path) = workspaces();
    fs::write(path.join("a"), "old").unwrap();
    let content = bytes(50);
    let wrong = Upload {
        sha256: Some(sha256(b"something else")),
        ..upload("a", "k", &content)
    };
    let error = send(&workspaces, &wrong, &content, None).unwrap_err();
    assert_eq!(error.code, "upload-digest");
    assert_eq!(error.details["sha256"], sha256(&content));
    assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "old");
    assert_eq!(staged(&workspaces), [""; 0]);
    assert_eq!(tree(&workspaces).arrived("k").unwrap(), 0);
}

#[test]
fn more_bytes_than_were_said_are_refused() {
    let (_folder, workspaces, path) = workspaces();
    let mut short = upload("a", "k", b"12345");
    short.size = 4;
    let error = send(&workspaces, &short, b"12345", None).unwrap_err();
    assert_eq!(error.code, "upload-too-long");
    assert!(!path.join("a").exists());
}

#[test]
fn two_uploads_of_one_file_are_both_whole_and_the_last_wins() {
    let (_folder, workspaces, path) = workspaces();
    let (one, two) = (bytes(5_000), vec![7; 4_000]);
    let mut first = tree(&workspaces)
        .receive(upload("a", "one", &one), NO_RESERVE, None)
        .unwrap();
    let mut second = tree(&workspaces)
        .receive(upload("a", "two", &two), NO_RESERVE, None)
        .unwrap();
    for at in 0..4 {
        first.write(&one[at * 1_000..(at + 1) * 1_000]).unwrap();
        second.write(&two[at * 1_000..(at + 1) * 1_000]).unwrap();
    }
    first.write(&one[4_000..]).unwrap();
    first.finish().unwrap();
    assert_eq!(fs::read(path.join("a")).unwrap(), one);
    second.finish().unwrap();
    assert_eq!(fs::read(path.join("a")).unwrap(), two);
}

#[test]
fn many_uploads_of_one_file_at_once_never_mix() {
    let (_folder, workspaces, path) = workspaces();
    std::thread::scope(|scope| {
        for byte in 0..8_u8 {
            let workspaces = workspaces.clone();
            scope.spawn(move || {
                for round in 0..50 {
                    let content = vec![byte; 10_000];
                    let upload = upload("a", &format!("{byte}-{round}"), &content);
                    send(&workspaces, &upload, &content, None).unwrap();
                }
            });
        }
        for _ in 0..500 {
            if let Ok(seen) = fs::read(path.join("a")) {
                assert!(seen.len() == 10_000 && seen.iter().all(|byte| *byte == seen[0]));
            }
        }
    });
    assert_eq!(staged(&workspaces), [""; 0]);
}

#[test]
fn one_key_at_once_goes_to_one_connection() {
    let (_folder, workspaces, path) = workspaces();
    let content = bytes(20_000);
    let (mut placed, mut busy) = (0, 0);
    std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..50)
                        .map(|_| send(&workspaces, &upload("a", "k", &content), &content, None))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        for outcome in tries.into_iter().flat_map(|thread| thread.join().unwrap()) {
            match outcome {
                Ok(Progress::Placed { .. }) => placed += 1,
                Err(error) if error.code == "upload-busy" => busy += 1,
                other => panic!("{other:?}"),
            }
        }
    });
    assert!(placed > 0 && placed + busy == 400, "{placed} {busy}");
    assert_eq!(fs::read(path.join("a")).unwrap(), content);
}

#[test]
fn a_key_is_of_one_upload() {
    let (_folder, workspaces, _) = workspaces();
    let content = bytes(100);
    send(
        &workspaces,
        &upload("a", "k", &content),
        &content[..10],
        None,
    )
    .unwrap();
    let other = Upload {
        offset: 10,
        ..upload("b", "k", &content)
    };
    let error = send(&workspaces, &other, &content[10..], None).unwrap_err();
    assert_eq!(error.code, "upload-key-reused");
    assert_eq!(tree(&workspaces).arrived("k").unwrap(), 10);
}

#[test]
fn without_a_key_nothing_is_left_of_what_broke_off() {
    let (_folder, workspaces, path) = workspaces();
    let content = bytes(100);
    let error = send(
        &workspaces,
        &upload("a", "", &content),
        &content[..10],
        None,
    )
    .unwrap_err();
    assert_eq!(error.code, "upload-incomplete");
    assert_eq!(staged(&workspaces), [""; 0]);
    let mut incoming = tree(&workspaces)
        .receive(upload("a", "", &content), NO_RESERVE, None)
        .unwrap();
    incoming.write(&content[..50]).unwrap();
    assert_eq!(staged(&workspaces).len(), 1);
    drop(incoming);
    assert_eq!(staged(&workspaces), [""; 0]);
    send(&workspaces, &upload("a", "", &content), &content, None).unwrap();
    assert_eq!(fs::read(path.join("a")).unwrap(), content);
}

#[test]
fn a_folder_in_the_place_is_refused_early_and_late_and_what_arrived_stays() {
    let (_folder, workspaces, path) = workspaces();
    let content = bytes(100);
    fs::create_dir(path.join("a")).unwrap();
    let early = tree(&workspaces).receive(upload("a", "k", &content), NO_RESERVE, None);
    assert_eq!(early.unwrap_err().code, "is-a-folder");
    fs::remove_dir(path.join("a")).unwrap();

    let first = Upload {
        mode: Some(0o400),
        ..upload("a", "k", &content)
    };
    send(&workspaces, &first, &content[..10], None).unwrap();
    let rest = Upload {
        offset: 10,
        ..first.clone()
    };
    let mut incoming = tree(&workspaces).receive(rest, NO_RESERVE, None).unwrap();
    incoming.write(&content[10..]).unwrap();
    fs::create_dir(path.join("a")).unwrap();
    assert_eq!(incoming.finish().unwrap_err().code, "is-a-folder");
    fs::remove_dir(path.join("a")).unwrap();
    assert_eq!(tree(&workspaces).arrived("k").unwrap(), 100);
    let nothing_more = Upload {
        offset: 100,
        ..first
    };
    send(&workspaces, &nothing_more, b"", None).unwrap();
    assert_eq!(fs::read(path.join("a")).unwrap(), content);
}

#[test]
fn what_was_planted_among_the_uploads_is_not_written_to() {
    let (folder, workspaces, path) = workspaces();
    let outside = folder.path().join("outside");
    let content = bytes(100);
    send(
        &workspaces,
        &upload("a", "k", &content),
        &content[..10],
        None,
    )
    .unwrap();
    let part = workspaces.folder(id()).join("uploads");
    let part = part.join(format!("{}.part", sha256(b"k")));
    for plant in [
        &|| symlink(&outside, &part).unwrap() as _,
        &|| fs::hard_link(&outside, &part).unwrap(),
        &|| {
            rustix::fs::mkfifoat(CWD, &part, Mode::RUSR | Mode::WUSR).unwrap();
        },
    ] as [&dyn Fn(); 3]
    {
        fs::remove_file(&part).unwrap();
        plant();
        let rest = Upload {
            offset: 10,
            ..upload("a", "k", &content)
        };
        let error = send(&workspaces, &rest, &content[10..], None).unwrap_err();
        assert_eq!(error.code, "upload-busy");
        assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
        // Asked again, it begins anew.
        send(
            &workspaces,
            &upload("a", "k", &content),
            &content[..10],
            None,
        )
        .unwrap();
    }
    let rest = Upload {
        offset: 10,
        ..upload("a", "k", &content)
    };
    send(&workspaces, &rest, &content[10..], None).unwrap();
    assert_eq!(fs::read(path.join("a")).unwrap(), content);
}

#[test]
fn what_does_not_fit_is_refused_early_and_says_how_much_there_is() {
    let (_folder, workspaces, _) = workspaces();
    let mut huge = upload("a", "k", b"");
    huge.size = u64::MAX;
    let error = tree(&workspaces)
        .receive(huge, NO_RESERVE, None)
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("disk-full", fleet_model::ErrorKind::Exhausted)
    );
    assert!(error.message.contains("MiB to give"), "{error}");
    // What is kept for others is not given either.
    let all = Reserve { bytes: u64::MAX };
    let error = tree(&workspaces)
        .receive(upload("a", "k", b"x"), all, None)
        .unwrap_err();
    assert_eq!(error.code, "disk-full");
    assert_eq!(error.details["free_bytes"], "0");
}

#[test]
fn a_disk_that_is_full_in_the_middle_keeps_what_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = small_disk(folder.path(), 2 << 20) else {
        eprintln!("skipped: only root mounts");
        return;
    };
    let workspaces = Workspaces::open(&folder.path().join("root")).unwrap();
    let path = workspaces.create(id()).unwrap();
    let free = rustix::fs::statvfs(folder.path()).unwrap();
    let free = usize::try_from(free.f_bavail * free.f_frsize).unwrap();
    // It would just fit, were there not the folder of uploads and the note of what it is for.
    let content = bytes(free);
    let whole = upload("a", "k", &content);
    let mut incoming = tree(&workspaces)
        .receive(whole.clone(), NO_RESERVE, None)
        .unwrap();
    let error = incoming.write(&content[..free - 1]).unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("disk-full", fleet_model::ErrorKind::Exhausted)
    );
    let (arrived, _) = incoming.suspend();
    assert!(
        arrived > 1 << 20 && arrived < free as u64,
        "{arrived} of {free}"
    );
    assert_eq!(tree(&workspaces).arrived("k").unwrap(), arrived);
    assert_eq!(names(&path), [""; 0]);
    drop(_disk);
}

#[test]
fn old_uploads_are_removed_and_those_that_are_sent_are_not() {
    let (_folder, workspaces, _) = workspaces();
    let content = bytes(100);
    assert_eq!(
        tree(&workspaces)
            .remove_uploads_before(u64::MAX / 2)
            .unwrap(),
        0
    );
    for key in ["old", "new", "sent"] {
        send(
            &workspaces,
            &upload("a", key, &content),
            &content[..10],
            None,
        )
        .unwrap();
    }
    let uploads = workspaces.folder(id()).join("uploads");
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    for key in ["old", "sent"] {
        for kind in ["part", "json"] {
            let file = uploads.join(format!("{}.{kind}", sha256(key.as_bytes())));
            fs::File::open(file)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
    }
    let sent = Upload {
        offset: 10,
        ..upload("a", "sent", &content)
    };
    let sending = tree(&workspaces).receive(sent, NO_RESERVE, None).unwrap();
    assert_eq!(
        tree(&workspaces).remove_uploads_before(2_000_000).unwrap(),
        1
    );
    assert_eq!(tree(&workspaces).arrived("old").unwrap(), 0);
    assert_eq!(tree(&workspaces).arrived("new").unwrap(), 10);
    drop(sending);
    assert_eq!(
        tree(&workspaces).remove_uploads_before(2_000_000).unwrap(),
        1
    );
    assert_eq!(staged(&workspaces).len(), 2);
}

#[test]
fn room_is_made_of_broken_off_uploads_but_for_ones_own_and_those_that_are_sent() {
    let (_folder, workspaces, _) = workspaces();
    let content = bytes(100);
    let remove = |lacking| {
        let removed = tree(&workspaces).remove_other_uploads("own", lacking);
        removed.unwrap()
    };
    assert_eq!(remove(0), 0);
    for key in ["own", "cut", "sent"] {
        send(
            &workspaces,
            &upload("a", key, &content),
            &content[..10],
            None,
        )
        .unwrap();
    }
    let sent = Upload {
        offset: 10,
        ..upload("a", "sent", &content)
    };
    let sending = tree(&workspaces).receive(sent, NO_RESERVE, None).unwrap();
    let arrived = |key| tree(&workspaces).arrived(key).unwrap();
    // Ten bytes and their note: no room would be made for as much as that.
    assert_eq!(remove(1 << 20), 0);
    assert_eq!(arrived("cut"), 10);
    assert_eq!(remove(1), 1);
    assert_eq!((arrived("own"), arrived("cut")), (10, 0));
    drop(sending);
    assert_eq!(arrived("sent"), 10);
}

#[test]
fn an_upload_whose_workload_is_removed_fails_and_leaves_nothing() {
    let (_folder, workspaces, _) = workspaces();
    let content = bytes(100);
    let mut incoming = tree(&workspaces)
        .receive(upload("conf/a", "k", &content), NO_RESERVE, None)
        .unwrap();
    incoming.write(&content[..50]).unwrap();
    workspaces.remove(id()).unwrap();
    incoming.write(&content[50..]).unwrap();
    let error = incoming.finish().unwrap_err();
    assert_eq!(error.kind, fleet_model::ErrorKind::NotFound, "{error}");
    assert!(!workspaces.folder(id()).exists());
    let gone = workspaces.tree(id()).unwrap_err();
    assert_eq!(gone.code, "no-workspace");
}
