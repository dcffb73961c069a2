//! A host's processes in a folder of their own, and words for what the tests do with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fleet_capability::cgroup::Choice;
use fleet_capability::log::LogLimits;
use fleet_capability::{
    Caller, Frame, Launcher, LocalProcesses, NoSecrets, Open, Options, OutputOptions, ProcessState,
    ProcessStatus, Processes, Request, Secrets, ShimCommand, Stdin, Stream,
};
use fleet_model::driver::Exit;
use fleet_model::spec::Limits;
use fleet_model::{Attempt, Error, Generation, ItemKey, Op, Verb, WorkloadId};
use fleet_seam::SystemClock;
use futures::StreamExt;
use tempfile::TempDir;

/// How long anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

pub(crate) const BOTH: [Choice; 2] = [Choice::Strongest, Choice::ProcessGroup];

/// One host's processes. Dropping it ends and removes whatever a test left.
pub(crate) struct Host {
    pub(crate) processes: LocalProcesses,
    pub(crate) folder: Arc<TempDir>,
    options: Options,
    secrets: Arc<dyn Secrets>,
    shim: ShimCommand,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn isolated(isolation: Choice) -> Self {
        Self::with(Options {
            isolation,
            ..Options::default()
        })
    }

    pub(crate) fn logging(segment_bytes: u64, segments: u64) -> Self {
        Self::with(Options {
            log: LogLimits {
                segment_bytes,
                segments,
            },
            ..Options::default()
        })
    }

    pub(crate) fn with(options: Options) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), options)
    }

    pub(crate) fn in_folder(folder: TempDir, options: Options) -> Self {
        Self::on(Arc::new(folder), options, Arc::new(NoSecrets), plain_shim())
    }

    fn on(
        folder: Arc<TempDir>,
        options: Options,
        secrets: Arc<dyn Secrets>,
        shim: ShimCommand,
    ) -> Self {
        let processes = open(&folder, options, secrets.clone(), shim.clone());
        Self {
            processes,
            folder,
            options,
            secrets,
            shim,
        }
    }

    /// Another host on the same folder, as after a restart.
    pub(crate) fn again(&self) -> Self {
        let (folder, secrets) = (self.folder.clone(), self.secrets.clone());
        Self::on(folder, self.options, secrets, self.shim.clone())
    }

    /// Another host on the same folder, with other shims.
    pub(crate) fn with_shim(&self, shim: ShimCommand) -> Self {
        let (folder, secrets) = (self.folder.clone(), self.secrets.clone());
        Self::on(folder, self.options, secrets, shim)
    }

    /// Another host on the same folder, with other secrets.
    pub(crate) fn knowing(&self, secrets: Arc<dyn Secrets>) -> Self {
        Self::on(
            self.folder.clone(),
            self.options,
            secrets,
            self.shim.clone(),
        )
    }

    /// A prepared shell script, of a new workload.
    pub(crate) async fn script(&self, script: &str) -> Run<'_> {
        self.command(&["sh", "-c", script]).await
    }

    pub(crate) async fn command(&self, command: &[&str]) -> Run<'_> {
        self.prepared(request(command)).await
    }

    pub(crate) async fn prepared(&self, request: Request) -> Run<'_> {
        let op = op(&request, Verb::Create);
        let prepared = self
            .processes
            .prepare(&caller(), &any(), &op, request.clone())
            .await
            .unwrap();
        Run {
            host: self,
            reference: prepared.reference.clone(),
            prepared,
            request,
        }
    }

    /// The same process, through this host.
    pub(crate) fn find<'a>(&'a self, run: &Run<'_>) -> Run<'a> {
        Run {
            host: self,
            reference: run.reference.clone(),
            prepared: run.prepared.clone(),
            request: run.request.clone(),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if Arc::strong_count(&self.folder) > 1 {
            return;
        }
        let left = open(
            &self.folder,
            self.options,
            self.secrets.clone(),
            plain_shim(),
        );
        let sweep = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (all, _) = left.list(&caller(), None, 1_000).await.unwrap();
                for process in all {
                    // What a test broke on purpose may refuse.
                    let _ = left.remove(&caller(), &any_op(), &process.reference).await;
                }
            });
        });
        sweep.join().unwrap();
    }
}

/// One process of a test.
pub(crate) struct Run<'a> {
    pub(crate) host: &'a Host,
    pub(crate) reference: String,
    pub(crate) prepared: fleet_capability::Prepared,
    pub(crate) request: Request,
}

impl Run<'_> {
    pub(crate) async fn start(&self) -> ProcessStatus {
        self.try_start().await.unwrap()
    }

    pub(crate) async fn try_start(&self) -> Result<ProcessStatus, Error> {
        self.host
            .processes
            .start(&caller(), &op(&self.request, Verb::Start), &self.reference)
            .await
    }

    pub(crate) async fn inspect(&self) -> ProcessStatus {
        self.host
            .processes
            .inspect(&caller(), &self.reference)
            .await
            .unwrap()
    }

    pub(crate) async fn signal(&self, name: &str) {
        self.signal_under(&op(&self.request, Verb::Stop), name)
            .await;
    }

    pub(crate) async fn signal_under(&self, op: &Op, name: &str) {
        self.host
            .processes
            .signal(&caller(), op, &self.reference, name)
            .await
            .unwrap();
    }

    pub(crate) async fn kill(&self) {
        self.host
            .processes
            .kill(&caller(), &op(&self.request, Verb::Kill), &self.reference)
            .await
            .unwrap();
    }

    pub(crate) async fn remove(&self) {
        self.host
            .processes
            .remove(
                &caller(),
                &op(&self.request, Verb::Destroy),
                &self.reference,
            )
            .await
            .unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn exit(&self) -> Exit {
        within(async {
            loop {
                match self.inspect().await.state {
                    ProcessState::Exited(exit) => return exit,
                    ProcessState::Lost(why) => panic!("lost: {why}"),
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await
    }

    pub(crate) async fn attribute(&self, name: &str) -> Option<String> {
        self.inspect().await.attributes.get(name).cloned()
    }

    pub(crate) async fn run(&self) -> Exit {
        self.start().await;
        self.exit().await
    }

    pub(crate) async fn output(&self, options: OutputOptions) -> Vec<Frame> {
        let source = self
            .host
            .processes
            .open(&caller(), &self.reference, Open::Output(options))
            .await
            .unwrap();
        within(source.output.map(Result::unwrap).collect()).await
    }

    pub(crate) fn workload_folder(&self) -> PathBuf {
        self.host
            .processes
            .workspaces()
            .folder(self.request.workload)
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.host.processes.workspaces().path(self.request.workload)
    }

    pub(crate) fn slot(&self) -> PathBuf {
        self.workload_folder().join("runs/1.1")
    }

    /// Waits until a file of the workspace has content, and gives it.
    pub(crate) async fn file(&self, name: &str) -> String {
        let path = self.workspace().join(name);
        until(|| {
            std::fs::read_to_string(&path)
                .ok()
                .filter(|text| text.ends_with('\n'))
        })
        .await
        .trim()
        .to_owned()
    }
}

pub(crate) fn caller() -> Caller {
    Caller {
        plugin: "native".parse().unwrap(),
    }
}

pub(crate) fn any() -> Launcher {
    Launcher {
        any: true,
        ..Launcher::default()
    }
}

pub(crate) fn request(command: &[&str]) -> Request {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Request {
        launcher: "dev".parse().unwrap(),
        workload: WorkloadId::new(1, u128::from(NEXT.fetch_add(1, Ordering::Relaxed))),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        limits: Limits::default(),
        stdin: Stdin::default(),
    }
}

pub(crate) fn op(request: &Request, verb: Verb) -> Op {
    Op {
        item: ItemKey::workload(request.workload),
        generation: Generation(1),
        attempt: Attempt(1),
        verb,
        call: String::new(),
    }
}

pub(crate) fn any_op() -> Op {
    op(&request(&["true"]), Verb::Destroy)
}

/// Comes back with the answer, or fails the test.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work)
        .await
        .expect("it takes too long")
}

/// Asks until there is an answer.
pub(crate) async fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < DEADLINE, "it takes too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs; one that only waits to be collected does not.
pub(crate) fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit_once(')')
            .unwrap()
            .1
            .trim_start()
            .starts_with('Z')
    })
}

/// All processes whose environment says that they belong to a test's folder.
pub(crate) fn members(mark: &Path) -> Vec<u32> {
    let mark = mark.display().to_string();
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&mark) && lives(*pid))
    })
    .collect()
}

/// What the program wrote on one stream: parts joined, line feeds back in place.
pub(crate) fn joined(frames: &[Frame], stream: Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames.iter().filter(|frame| frame.stream == stream) {
        bytes.extend_from_slice(&frame.bytes);
        if frame.complete {
            bytes.push(b'\n');
        }
    }
    bytes
}

pub(crate) fn stdout(frames: &[Frame]) -> String {
    String::from_utf8(joined(frames, Stream::Stdout)).unwrap()
}

fn open(
    folder: &TempDir,
    options: Options,
    secrets: Arc<dyn Secrets>,
    shim: ShimCommand,
) -> LocalProcesses {
    LocalProcesses::open_with(
        &folder.path().join("workloads"),
        shim,
        Arc::new(SystemClock),
        secrets,
        options,
    )
    .unwrap()
}

fn plain_shim() -> ShimCommand {
    ShimCommand {
        program: shim(),
        args: Vec::new(),
    }
}

pub(crate) fn shim() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/shim")
}

/// The keeper of a started process.
pub(crate) fn shim_of(run: &Run<'_>) -> u32 {
    let claim: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run.slot().join("claim")).unwrap()).unwrap();
    claim["shim"]["pid"].as_u64().unwrap().try_into().unwrap()
}

pub(crate) fn kill_9(pid: u32) {
    assert!(
        std::process::Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}
