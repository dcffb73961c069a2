//! Files of a workspace, from the controller's stream to the disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fleet_capability::workspace::Workspaces;
use fleet_model::file::{FileKind, Upload};
use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::{Desired, WorkloadState};
use fleet_model::{Error, ErrorKind};
use fleet_protocol::bulk::{BulkStream, Request};
use fleet_protocol::file::{CHUNK_BYTES, FileCall, Reply};
use fleet_seam::{Clock, SystemClock};
use sha2::{Digest, Sha256};

use super::script::workload;
use super::{Fixture, until};

/// A clock that goes slowly, and on which pauses are short.
struct Slow;

#[async_trait]
impl Clock for Slow {
    fn unix_ms(&self) -> u64 {
        SystemClock.unix_ms()
    }

    fn boot_ms(&self) -> u64 {
        SystemClock.boot_ms() / 10
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration / 10).await;
    }
}

/// A node with one workload that has a folder.
struct Desk {
    node: Fixture,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        Self::on(Fixture::off()).await
    }

    async fn on(mut node: Fixture) -> Self {
        node.boot().await;
        let folder = tempfile::tempdir().unwrap();
        let workspaces = Workspaces::open(folder.path()).unwrap();
        workspaces.create(workload(1)).unwrap();
        assert!(node.world.folders.set(workspaces).is_ok());
        let desk = Self { node, folder };
        desk.wants(
            Desired::Running,
            WorkloadState::Running,
            serde_json::json!({}),
        )
        .await;
        desk
    }

    async fn wants(&self, desired: Desired, state: WorkloadState, spec: serde_json::Value) {
        let generation = self.node.script.want_with(1, Some(desired), spec);
        until("its state", || {
            self.node
                .script
                .status(1)
                .filter(|(g, status)| *g == generation && status.state == state)
        })
        .await;
    }

    fn path(&self, path: &str) -> PathBuf {
        let own = self.folder.path().join(workload(1).to_string());
        own.join("workspace").join(path)
    }

    async fn open_at(&self, generation: u64, call: FileCall) -> Result<BulkStream, Error> {
        let request = Request::File {
            item: ItemKey::workload(workload(1)),
            generation: Generation(generation),
            call,
        };
        within(self.node.script.open(&request)).await
    }

    async fn open(&self, call: FileCall) -> Result<BulkStream, Error> {
        self.open_at(self.node.script.generation(), call).await
    }

    async fn ask(&self, call: FileCall) -> Result<Reply, Error> {
        let mut stream = self.open(call).await?;
        reply(&mut stream).await
    }

    async fn put(&self, upload: Upload, bytes: &[u8]) -> Result<Reply, Error> {
        let mut stream = self.open(FileCall::Write(upload)).await?;
        for frame in bytes.chunks(CHUNK_BYTES) {
            within(stream.send(Bytes::copy_from_slice(frame)))
                .await
                .unwrap();
        }
        within(stream.send(Bytes::new())).await.unwrap();
        reply(&mut stream).await
    }

    async fn get(&self, path: &str, offset: u64) -> Result<Vec<u8>, Error> {
        let call = FileCall::Read {
            path: path.into(),
            offset,
            length: None,
        };
        let mut stream = self.open(call).await?;
        let Reply::Entry(_) = reply(&mut stream).await? else {
            panic!("no entry")
        };
        let mut all = Vec::new();
        while let Some(frame) = within(stream.receive()).await {
            all.extend_from_slice(&frame.unwrap());
        }
        Ok(all)
    }

    async fn arrived(&self, key: &str) -> u64 {
        match self.ask(FileCall::Uploaded { key: key.into() }).await {
            Ok(Reply::Upload { arrived, .. }) => arrived,
            other => panic!("{other:?}"),
        }
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("it did not happen within 20 s")
}

async fn reply(stream: &mut BulkStream) -> Result<Reply, Error> {
    match within(stream.receive_json::<Reply>()).await {
        Some(Ok(Reply::Failed(error))) => Err(error),
        Some(Ok(reply)) => Ok(reply),
        other => panic!("{other:?}"),
    }
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 31 + n / 253) as u8).collect()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn upload(path: &str, key: &str, bytes: &[u8]) -> Upload {
    Upload {
        path: path.into(),
        key: key.into(),
        offset: 0,
        size: bytes.len() as u64,
        sha256: Some(hex(bytes)),
        mode: None,
    }
}

#[tokio::test]
async fn a_large_file_goes_in_and_out_as_it_is() {
    let desk = Desk::new().await;
    let content = bytes(5_000_001);
    match desk
        .put(upload("a/big", "k", &content), &content)
        .await
        .unwrap()
    {
        Reply::Upload { arrived, sha256 } => {
            assert_eq!((arrived, sha256), (5_000_001, Some(hex(&content))));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(desk.path("a/big")).unwrap(), content);
    assert!(desk.get("a/big", 0).await.unwrap() == content);
    assert!(desk.get("a/big", 4_999_990).await.unwrap() == content[4_999_990..]);
    let stat = FileCall::Stat {
        path: "a/big".into(),
        digest: true,
        follow: false,
    };
    match desk.ask(stat).await.unwrap() {
        Reply::Entry(entry) => assert_eq!(entry.sha256, Some(hex(&content))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_what_arrived_and_the_next_goes_on() {
    let desk = Desk::new().await;
    let content = bytes(3_000_000);
    let whole = upload("big", "k", &content);
    let mut stream = desk.open(FileCall::Write(whole.clone())).await.unwrap();
    for frame in content[..2_000_000].chunks(100_000) {
        within(stream.send(Bytes::copy_from_slice(frame)))
            .await
            .unwrap();
    }
    drop(stream);
    within(async {
        while desk.arrived("k").await < 2_000_000 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert_eq!(desk.arrived("k").await, 2_000_000);
    assert!(!desk.path("big").exists());
    let wrong = Upload {
        offset: 5,
        ..whole.clone()
    };
    // The broken one holds its place until its end was seen.
    let error = within(async {
        loop {
            let error = desk.put(wrong.clone(), b"").await.unwrap_err();
            if error.details.contains_key("arrived") {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert_eq!(error.details["arrived"], "2000000");
    let rest = Upload {
        offset: 2_000_000,
        ..whole
    };
    desk.put(rest, &content[2_000_000..]).await.unwrap();
    assert!(std::fs::read(desk.path("big")).unwrap() == content);
}

#[tokio::test]
async fn after_bytes_that_cannot_be_written_none_are() {
    let desk = Desk::new().await;
    let content = bytes(2_500_000);
    let whole = upload("big", "k", &content);
    let mut stream = desk.open(FileCall::Write(whole)).await.unwrap();
    // The second goes beyond the end; the third would not, were it taken for the second.
    for count in [1 << 20, 2_000_000, 1 << 20] {
        within(stream.send(Bytes::from(vec![7; count])))
            .await
            .unwrap();
    }
    let error = reply(&mut stream).await.unwrap_err();
    assert_eq!(error.code, "upload-too-long");
    assert_eq!(desk.arrived("k").await, 1 << 20);
}

#[tokio::test]
async fn a_part_that_ends_in_order_is_kept_and_the_digest_may_come_with_the_last() {
    let desk = Desk::new().await;
    let content = bytes(1_000);
    let first = Upload {
        sha256: None,
        ..upload("a", "k", &content)
    };
    match desk.put(first, &content[..600]).await.unwrap() {
        Reply::Upload { arrived, sha256 } => assert_eq!((arrived, sha256), (600, None)),
        other => panic!("{other:?}"),
    }
    let wrong = Upload {
        offset: 600,
        sha256: Some(hex(b"another")),
        ..upload("a", "k", &content)
    };
    let error = desk.put(wrong, &content[600..]).await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Invalid, "upload-digest")
    );
    assert_eq!(desk.arrived("k").await, 0);
    assert!(!desk.path("a").exists());
}

#[tokio::test]
async fn an_upload_over_the_workloads_limit_is_refused_early_with_what_is_left() {
    let desk = Desk::new().await;
    let spec = serde_json::json!({"limits": {"disk": "1MiB"}});
    desk.wants(Desired::Stopped, WorkloadState::Exited, spec)
        .await;
    desk.node.world.fill(1_000_000);
    let content = bytes(60_000);
    let error = desk
        .put(upload("a", "k", &content), &content)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Exhausted, "disk-limit")
    );
    assert_eq!(error.details["left_bytes"], "48576");
    desk.node.world.fill(900_000);
    desk.put(upload("a", "k", &content), &content)
        .await
        .unwrap();
}

/// A workload that may have 1 MiB, of which so much is used.
async fn limited(used: u64) -> Desk {
    let desk = Desk::on(Fixture::timed(Arc::new(Slow))).await;
    let spec = serde_json::json!({"limits": {"disk": "1MiB"}});
    desk.wants(Desired::Stopped, WorkloadState::Exited, spec)
        .await;
    desk.node.world.fill(used);
    desk
}

#[tokio::test]
async fn uploads_at_once_do_not_get_the_same_room() {
    let desk = limited(900_000).await;
    let content = bytes(100_000);
    let write = |key: &str| desk.open(FileCall::Write(upload(key, key, &content)));
    let (first, second) = tokio::join!(write("a"), write("b"));
    let (kept, refused) = match (first, second) {
        (Ok(kept), Err(refused)) | (Err(refused), Ok(kept)) => (kept, refused),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused.code, "disk-limit");
    assert_eq!(refused.details["left_bytes"], "48576");
    // One that breaks off gives its room back.
    drop(kept);
    within(async {
        while write("c").await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_look_at_the_disk_is_good_for_many_uploads() {
    let desk = limited(0).await;
    let before = desk.node.world.measured();
    for name in ["a", "b", "c"] {
        let content = bytes(300_000);
        desk.put(upload(name, "", &content), &content)
            .await
            .unwrap();
    }
    assert_eq!(desk.node.world.measured() - before, 1);
    // What was written since counts, until another look says what is there; a refusal takes one.
    let content = bytes(200_000);
    desk.node.world.fill(900_000);
    let error = desk.put(upload("d", "", &content), &content).await;
    assert_eq!(error.unwrap_err().details["left_bytes"], "148576");
    assert_eq!(desk.node.world.measured() - before, 2);
}

#[tokio::test]
async fn broken_off_uploads_stay_where_their_room_would_not_suffice() {
    let desk = limited(1 << 20).await;
    let cut = bytes(300_000);
    desk.node.world.fill(0);
    let mut stream = desk
        .open(FileCall::Write(upload("a", "cut", &cut)))
        .await
        .unwrap();
    let part = Bytes::copy_from_slice(&cut[..CHUNK_BYTES]);
    within(stream.send(part)).await.unwrap();
    within(stream.send(Bytes::new())).await.unwrap();
    reply(&mut stream).await.unwrap();
    assert_eq!(desk.arrived("cut").await, CHUNK_BYTES as u64);

    desk.node.world.fill(1 << 20);
    let huge = Upload {
        size: 1 << 60,
        ..upload("b", "huge", b"x")
    };
    let error = desk.open(FileCall::Write(huge)).await.unwrap_err();
    assert_eq!(error.code, "disk-limit");
    assert_eq!(desk.arrived("cut").await, CHUNK_BYTES as u64);
    // It goes where that makes enough room.
    let small = desk.open(FileCall::Write(upload("b", "small", b"x"))).await;
    assert_eq!(small.unwrap_err().code, "disk-limit");
    assert_eq!(desk.arrived("cut").await, 0);
}

#[tokio::test]
async fn files_are_reached_whatever_the_state_and_not_by_a_controller_that_is_behind() {
    let desk = Desk::new().await;
    std::fs::write(desk.path("a"), "x").unwrap();
    desk.node.world.exit_all(3);
    until("its end", || {
        let (_, status) = desk.node.script.status(1)?;
        (status.state == WorkloadState::Exited).then_some(())
    })
    .await;
    assert_eq!(desk.get("a", 0).await.unwrap(), b"x");
    let none = serde_json::json!({});
    desk.wants(Desired::Stopped, WorkloadState::Exited, none)
        .await;
    assert_eq!(desk.get("a", 0).await.unwrap(), b"x");
    let old = desk.node.script.generation() - 1;
    let list = FileCall::List {
        path: String::new(),
        after: None,
        limit: 10,
    };
    let error = desk.open_at(old, list.clone()).await.unwrap_err();
    assert_eq!(error.code, "controller-behind");
    std::fs::remove_dir_all(desk.path("")).unwrap();
    let error = desk.ask(list).await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::NotFound, "no-workspace")
    );
}

#[tokio::test]
async fn every_other_call_does_what_it_says_or_says_why_not() {
    let desk = Desk::new().await;
    let folder = FileCall::MakeFolder { path: "f/g".into() };
    assert_eq!(desk.ask(folder).await.unwrap(), Reply::Done);
    std::fs::write(desk.path("a"), "x").unwrap();
    let moved = FileCall::Move {
        from: "a".into(),
        to: "f/b".into(),
        replace: false,
    };
    assert_eq!(desk.ask(moved.clone()).await.unwrap(), Reply::Done);
    assert_eq!(desk.ask(moved).await.unwrap_err().code, "no-such-file");
    let list = |limit| FileCall::List {
        path: "f".into(),
        after: None,
        limit,
    };
    match desk.ask(list(1)).await.unwrap() {
        Reply::Entries { entries, next } => {
            assert_eq!(
                (entries[0].name.as_str(), entries[0].kind),
                ("b", FileKind::File)
            );
            assert_eq!(next.as_deref(), Some("b"));
        }
        other => panic!("{other:?}"),
    }
    let remove = |recursive| FileCall::Remove {
        path: "f".into(),
        recursive,
    };
    assert_eq!(
        desk.ask(remove(false)).await.unwrap_err().code,
        "folder-not-empty"
    );
    assert_eq!(desk.ask(remove(true)).await.unwrap(), Reply::Done);
    let error = desk.get("../../x", 0).await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Invalid, "outside-workspace")
    );
    let digest = FileCall::Stat {
        path: "none".into(),
        digest: true,
        follow: false,
    };
    assert_eq!(desk.ask(digest).await.unwrap_err().code, "no-such-file");
}

#[tokio::test]
async fn a_reader_that_stops_holds_no_other_and_one_that_goes_ends_its_file() {
    let desk = Desk::new().await;
    let content = bytes(20_000_000);
    std::fs::write(desk.path("big"), &content).unwrap();
    std::fs::write(desk.path("small"), "x").unwrap();
    let read = FileCall::Read {
        path: "big".into(),
        offset: 0,
        length: None,
    };
    let stuck = desk.open(read).await.unwrap();
    assert!(desk.get("big", 0).await.unwrap() == content);
    assert_eq!(desk.get("small", 0).await.unwrap(), b"x");
    let has_open = || {
        let big = desk.path("big");
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .any(|target| target == big)
    };
    assert!(has_open());
    drop(stuck);
    until("the file to be closed", || (!has_open()).then_some(())).await;
}
