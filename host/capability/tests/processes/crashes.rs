//! The shim is killed at every moment at which something has just become durable or is about to;
//! then the host does what hosts do. Whatever the moment, no op has its effect twice, and what was
//! not lost has it once.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fleet_capability::{Claims, PacketSpools, ProcessState, ShimCommand, ShimPoint};
use fleet_model::Error;

use crate::harness::{Host, Run, members, shim, until, within};

/// A host whose shims are killed at a point, on the folder of another.
struct Crash {
    host: Host,
    mark: PathBuf,
}

impl Crash {
    /// Killed when a shim comes to this point for the `nth` time. Each order is kept in its slot.
    fn at(host: &Host, point: ShimPoint, nth: u32) -> Self {
        let mark = host.folder.path().join("crashed");
        let variables = format!(
            "SHIM_CRASH={}:{nth} SHIM_CRASHED={}",
            point.as_str(),
            mark.display()
        );
        let host = host.with_shim(recording(&variables));
        Self { host, mark }
    }

    fn fired(&self) -> bool {
        self.mark.exists()
    }
}

/// A shim that keeps its order, so that it can be started once more.
pub(crate) fn recording(variables: &str) -> ShimCommand {
    let shim = shim();
    let script = format!(
        "/bin/cat > \"$0/order\"; export {variables}; exec {} \"$0\" < \"$0/order\"",
        shim.display()
    );
    ShimCommand {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
    }
}

/// What a second host does that asked for the same start at the same moment: its shim comes late.
pub(crate) fn shim_again(slot: &Path, claims: Claims) -> Child {
    let order = fs::File::open(slot.join("order")).unwrap();
    let claims = match claims {
        Claims::Honoured => "honoured",
        Claims::Ignored => "ignored",
    };
    let mut child = Command::new(shim())
        .arg(slot)
        .env("SHIM_CLAIMS", claims)
        .stdin(order)
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert!(line.contains("answer"), "{line}");
    child
}

/// How often each try left a line.
fn effects(run: &Run<'_>) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(run.workspace().join("effects")).unwrap_or_default();
    let mut effects = BTreeMap::new();
    for line in text.lines() {
        let name = line.split('@').next().unwrap().rsplit('/').next().unwrap();
        *effects.entry(name.to_owned()).or_default() += 1;
    }
    effects
}

/// A refusal by its code, an answer as it is: what a caller can tell apart.
fn shown<T: std::fmt::Debug>(answer: &Result<T, Error>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("{:?} {}", error.kind, error.code),
    }
}

/// Nothing of the workload is left when all is removed.
async fn is_gone(host: &Host, run: &Run<'_>, tries: &[&Run<'_>]) {
    let folder = run.workload_folder();
    for run in tries {
        run.remove().await;
        run.remove().await;
    }
    assert_eq!(fs::read_dir(folder.join("runs")).unwrap().count(), 0);
    until(|| members(&folder).is_empty().then_some(())).await;
    host.processes
        .workspaces()
        .remove(run.request.workload)
        .unwrap();
    assert!(!folder.exists());
}

/// A start that is crashed at a point, then what hosts do. The effects of both tries.
async fn start(point: ShimPoint, claims: Claims) -> BTreeMap<String, usize> {
    let host = Host::new();
    let crash = Crash::at(&host, point, 1);
    let is_at_end = matches!(
        point,
        ShimPoint::BeforeExitRecord | ShimPoint::AfterExitRecord
    );
    let stay = if is_at_end { "exit 3" } else { "exec sleep 60" };
    let script = format!("echo $FLEET_TRY >> effects; {stay}");
    let run = crash.host.script(&script).await;
    let _ = run.try_start().await;
    until(|| crash.fired().then_some(())).await;

    let first = host.find(&run);
    let slot = run.slot();
    let is_claimed = slot.join("claim").exists();
    let ran = matches!(
        point,
        ShimPoint::AfterRelease
            | ShimPoint::AfterExecutedMark
            | ShimPoint::BeforeExitRecord
            | ShimPoint::AfterExitRecord
    );
    if ran {
        until(|| (effects(&run).get("1.1") == Some(&1)).then_some(())).await;
    }
    // Only the crashed shim itself may still be seen for a moment.
    until(|| members(&slot).is_empty().then_some(())).await;
    let answers = (first.try_start().await, first.try_start().await);
    assert_eq!(shown(&answers.0), shown(&answers.1), "{point:?}");
    assert_eq!(
        is_claimed,
        !matches!(point, ShimPoint::BeforeClaim | ShimPoint::ChildReady)
    );
    match (is_claimed, ran) {
        (false, _) => assert!(answers.0.is_ok(), "{point:?}: {answers:?}"),
        (true, false) => assert_eq!(answers.0.unwrap_err().code, "start-lost", "{point:?}"),
        (true, true) => {}
    }
    let mut late = shim_again(&slot, claims);
    if !is_claimed || claims == Claims::Ignored {
        until(|| effects(&run).contains_key("1.1").then_some(())).await;
    }
    if claims == Claims::Ignored {
        until(|| (effects(&run)["1.1"] > usize::from(ran || !is_claimed)).then_some(())).await;
    }

    first.kill().await;
    first.kill().await;
    let next = first.next(1, 2).await;
    within(async {
        // Its keeper may be waiting for the one before to go.
        while next.try_start().await.is_err() {}
    })
    .await;
    until(|| effects(&run).contains_key("1.2").then_some(())).await;
    let effects = effects(&run);
    // It leads nothing any more, so it ends.
    late.wait().unwrap();
    is_gone(&host, &first, &[&first, &next]).await;
    effects
}

/// What became of a command when its shim was crashed.
struct Sent {
    /// The lines the program had, in order.
    kept: Vec<String>,
}

/// Reads one line once it may, then all others.
const LISTEN: &str = "while [ ! -e loud ]; do sleep 0.01; done; \
    while read -r line; do echo \"$line\" >> kept; done";

/// A command into a free pipe (`nth` 1), or one that waits behind another (`nth` 2).
async fn send(point: ShimPoint, nth: u32) -> Sent {
    let host = Host::new();
    let crash = Crash::at(&host, point, nth);
    let run = crash.host.script(LISTEN).await;
    run.start().await;
    if nth == 1 {
        fs::write(run.workspace().join("loud"), "").unwrap();
    } else {
        // Fills the pipe, so that what follows waits.
        run.send("large", &format!("{}\n", "x".repeat(70_000)))
            .await
            .unwrap();
    }
    let _ = run.send("key", "command\n").await;
    fs::write(run.workspace().join("loud"), "").unwrap();
    until(|| crash.fired().then_some(())).await;
    until(|| members(&run.slot()).is_empty().then_some(())).await;
    // Its input has ended with its shim, so the program reads what it was given and ends.
    until(|| run_is_over(&run).then_some(())).await;

    let first = host.find(&run);
    let answers = (
        first.send("key", "command\n").await,
        first.send("key", "command\n").await,
    );
    assert_eq!(shown(&answers.0), shown(&answers.1), "{point:?}");
    first.kill().await;
    let next = first.next(1, 2).await;
    next.start().await;
    next.send("key", "command\n").await.unwrap();
    next.send("end", "end\n").await.unwrap();
    let kept = until(|| {
        let text = fs::read_to_string(run.workspace().join("kept")).ok()?;
        text.ends_with("end\n").then_some(text)
    })
    .await;
    is_gone(&host, &first, &[&first, &next]).await;
    Sent {
        kept: kept
            .lines()
            .filter(|line| !line.starts_with('x'))
            .map(str::to_owned)
            .collect(),
    }
}

fn run_is_over(run: &Run<'_>) -> bool {
    let claim: serde_json::Value =
        serde_json::from_slice(&fs::read(run.slot().join("claim")).unwrap()).unwrap();
    let pid = claim["program"]["pid"].as_u64().unwrap();
    !crate::harness::lives(pid.try_into().unwrap())
}

/// Emits three packets and notes each answer; says whether it could.
const EMIT: &str = r#"
import json, os, socket
line = socket.socket(socket.AF_UNIX)
line.connect(os.environ["FLEET_PACKET_SOCKET"])
answers = line.makefile()
mark = os.environ["FLEET_TRY"].split("@")[0].split("/")[1]
for n in range(3):
    try:
        line.sendall(b'{"of":"%s","n":%d}\n' % (mark.encode(), n))
        answer = answers.readline()
    except OSError:
        answer = ""
    if not answer:
        break
    with open("acks", "a") as acks:
        acks.write('%d {"of":"%s","n":%d}\n' % (json.loads(answer)["seq"], mark, n))
"#;

/// Packets whose shim is crashed, then those of the next try.
async fn emit(point: ShimPoint) {
    let host = Host::new();
    let spools = host.spools();
    let crash = Crash::at(&host, point, 1);
    let run = crash.host.command(&["python3", "-c", EMIT]).await;
    let _ = run.try_start().await;
    until(|| crash.fired().then_some(())).await;
    until(|| run_is_over(&run).then_some(())).await;
    // A process that is killed closes its connections a moment before it is gone.
    until(|| members(&run.slot()).is_empty().then_some(())).await;
    let first = host.find(&run);
    assert!(matches!(first.inspect().await.state, ProcessState::Lost(_)));
    let next = first.next(1, 2).await;
    assert_eq!(next.run().await.code, 0);

    assert_eq!(within(spools.changed()).await, [run.request.workload]);
    let packets = run.packets(&spools).await;
    let numbers: Vec<u64> = packets.iter().map(|packet| packet.seq).collect();
    assert_eq!(
        numbers,
        (1..=packets.len() as u64).collect::<Vec<_>>(),
        "{point:?}: no number is missing"
    );
    let mut texts: Vec<&str> = packets.iter().map(|packet| packet.json.as_str()).collect();
    let acks = fs::read_to_string(run.workspace().join("acks")).unwrap();
    for ack in acks.lines() {
        let (number, text) = ack.split_once(' ').unwrap();
        let number: usize = number.parse().unwrap();
        assert_eq!(
            texts[number - 1],
            text,
            "{point:?}: it is what was answered"
        );
    }
    let of_second = texts.iter().filter(|text| text.contains("1.2"));
    assert_eq!(of_second.count(), 3, "{point:?}");
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(
        texts.len(),
        packets.len(),
        "{point:?}: nothing is kept twice"
    );
    is_gone(&host, &first, &[&first, &next]).await;
}

/// One point, with all that is promised of it.
async fn walk(point: ShimPoint) {
    use ShimPoint as P;
    match point {
        P::BeforeClaim
        | P::ChildReady
        | P::AfterClaim
        | P::AfterRelease
        | P::AfterExecutedMark
        | P::BeforeExitRecord
        | P::AfterExitRecord => {
            let effects = start(point, Claims::Honoured).await;
            // Only a claim whose child never had the word leaves a start without an effect.
            let first = usize::from(point != P::AfterClaim);
            assert_eq!(effects.get("1.1").copied().unwrap_or(0), first, "{point:?}");
            assert_eq!(effects["1.2"], 1, "{point:?}");
        }
        P::BeforeAccept | P::BeforeBegun | P::BeforeRewrite | P::AfterRewrite => {
            // Nothing was begun, so nothing is lost.
            assert_eq!(send(point, 1).await.kept, ["command", "end"], "{point:?}");
            if matches!(point, P::BeforeAccept | P::BeforeBegun) {
                assert_eq!(send(point, 2).await.kept, ["command", "end"], "{point:?}");
            }
        }
        P::AfterAccept => {
            // Taken and begun in one: what was begun is not written again.
            assert_eq!(send(point, 1).await.kept, ["end"]);
            assert_eq!(send(point, 2).await.kept, ["command", "end"]);
        }
        P::AfterBegun => {
            assert_eq!(send(point, 1).await.kept, ["end"]);
            assert_eq!(send(point, 2).await.kept, ["end"]);
        }
        P::AfterPipeWrite => {
            assert_eq!(send(point, 1).await.kept, ["command", "end"]);
            assert_eq!(send(point, 2).await.kept, ["command", "end"]);
        }
        P::AfterSpool
        | P::AfterSegment
        | P::BeforePacketSync
        | P::AfterPacketSync
        | P::BeforeBell
        | P::AfterBell => emit(point).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_no_point_does_a_crash_double_or_lose_what_it_should_not() {
    let walks = ShimPoint::ALL.map(|point| tokio::spawn(walk(point)));
    for (point, walk) in ShimPoint::ALL.iter().zip(walks) {
        assert!(walk.await.is_ok(), "{point:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_walk_finds_a_shim_that_ignores_claims() {
    for point in [ShimPoint::AfterRelease, ShimPoint::AfterExitRecord] {
        let effects = start(point, Claims::Ignored).await;
        assert_eq!(effects["1.1"], 2, "{point:?}: a second effect");
    }
}
