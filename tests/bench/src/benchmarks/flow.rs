//! P16: how fast bytes flow out of a workload and into it, and what the host holds meanwhile.
//!
//! Both sides are two processes: the product's command and its host, and the floor's reader and its
//! server. Each is timed from the start of the one that reads until it has ended.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleet_client::Client;
use serde_json::json;

use super::Bench;
use crate::Result;
use crate::finding::{Finding, Goal, Role, Series, Unit};
use crate::floor::websocket::{PROGRAM, Server};
use crate::options::Size;
use crate::process::{Owned, Peak};
use crate::rounds::{Contestant, interleave};
use crate::stopwatch::now;
use crate::subject::host::{HostFolder, RunningHost, Swept};
use crate::subject::running::{printed, running};

const FLOOR: &str = "bare WebSocket";
/// 70 % of the floor's throughput.
const TIMES_FLOOR: f64 = 1.43;
/// How much more the host may hold while bytes flow than before.
const HOLDS_BYTES: f64 = 16e6;
/// The workload that is asked.
const WORKLOAD: &str = "flow";

pub(super) fn run(bench: &Bench) -> Result<Vec<Finding>> {
    let (stream, file) = match bench.options.size() {
        Size::Full => (1_u64 << 30, 5_u64 << 30),
        Size::Quick => (64 << 20, 64 << 20),
    };
    let root = bench.scratch("flow")?;
    let host = HostFolder {
        binary: bench.options.host.clone(),
        plugins: bench.options.plugins.clone(),
        grants: None,
        data: root.join("data"),
        cache: bench.compiled(),
    };
    let workloads = host.data.join("workloads");
    let swept = Swept(&workloads);
    let running_host = host.start()?;
    let client = running_host.client()?;
    let flow = Flow {
        bench,
        host: &running_host,
        floor: bench.beside(PROGRAM)?,
        root: root.clone(),
    };
    let mut findings = exec(&flow, &client, stream)?;
    findings.extend(log(&flow, &client, stream)?);
    findings.extend(files(&flow, file)?);
    running_host.stop()?;
    drop(swept);
    Ok(findings)
}

/// What every part is given.
struct Flow<'a> {
    bench: &'a Bench,
    host: &'a RunningHost,
    /// The floor's program.
    floor: PathBuf,
    /// A folder for files.
    root: PathBuf,
}

impl Flow<'_> {
    /// The product's command.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.host.command();
        command.args(["workload"]).args(words);
        command
    }

    /// Seconds a command takes, and by how much `pid` grew meanwhile at most.
    fn time(&self, pid: u32, command: &mut Command) -> Result<[f64; 2]> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let peak = Peak::begin(pid)?;
        let began = now();
        let status = Owned::spawn(command)?.child().wait()?;
        let taken = began.elapsed().as_secs_f64();
        if status.success() {
            Ok([taken, peak.bytes()?])
        } else {
            Err(format!("{command:?} ended with {status}").into())
        }
    }

    /// Ours against the floor; two findings, of time and of memory.
    fn compare(
        &self,
        work: &str,
        notes: &[&str],
        mut ours: impl FnMut() -> Result<[f64; 2]>,
        mut floor: impl FnMut() -> Result<[f64; 2]>,
    ) -> Result<Vec<Finding>> {
        let [seconds, bytes] = interleave(
            self.bench.options.rounds(),
            vec![
                Contestant::new(Role::Ours, "fleet-host", &mut ours),
                Contestant::new(Role::Floor, FLOOR, &mut floor),
            ],
        )?;
        let finding = |work, unit, series: Vec<Series>, goals, notes| Finding {
            id: "P16".into(),
            work,
            unit,
            series,
            missing: Vec::new(),
            goals,
            notes,
        };
        Ok(vec![
            finding(
                work.to_owned(),
                Unit::Seconds,
                seconds,
                vec![Goal::TimesFloor {
                    at_most: TIMES_FLOOR,
                }],
                notes.iter().map(|note| (*note).to_owned()).collect(),
            ),
            finding(
                format!("{work}: growth of the serving process, at its peak"),
                Unit::Bytes,
                bytes,
                vec![Goal::AtMost { value: HOLDS_BYTES }],
                Vec::new(),
            ),
        ])
    }
}

fn exec(flow: &Flow<'_>, client: &Client, bytes: u64) -> Result<Vec<Finding>> {
    let spec = json!({ "name": WORKLOAD, "command": ["/bin/sleep", "3600"] });
    flow.bench.runtime.block_on(running(client, spec))?;
    let size = bytes.to_string();
    let words = ["head", "-c", &size, "/dev/zero"];
    let server = Server::of_command(flow.floor.clone(), &words)?;
    flow.compare(
        &format!("{} of an exec's output, by the command line", shown(bytes)),
        &["`exec flow -- head -c N /dev/zero` against a server that starts the same program and sends what it prints: both to `/dev/null`. Ours keeps what a client that comes back would miss, and passes through a keeper, a node's session and the API."],
        || {
            let mut words = words.to_vec();
            words.splice(0..0, ["exec", WORKLOAD, "--"]);
            flow.time(flow.host.pid(), &mut flow.command(&words))
        },
        || flow.time(server.pid(), &mut server.reader()),
    )
}

fn log(flow: &Flow<'_>, client: &Client, bytes: u64) -> Result<Vec<Finding>> {
    let line = "0123456789".repeat(10);
    let program = format!("yes {line} | head -c {bytes}");
    let spec = json!({
        "name": "log", "command": ["/bin/sh", "-c", program], "restart": "never",
        "limits": { "log": format!("{}MiB", bytes >> 19) },
    });
    flow.bench.runtime.block_on(printed(client, spec))?;
    let file = flow.root.join("log");
    make(&file, &program)?;
    let server = Server::of_file(flow.floor.clone(), &file)?;
    let findings = flow.compare(
        &format!("a log of {} in lines of 100 bytes, by the command line", shown(bytes)),
        &["the floor sends a file with the same lines. Ours reads segments in which each line has its time and its stream, and gives each a cursor."],
        || flow.time(flow.host.pid(), &mut flow.command(&["logs", "log"])),
        || flow.time(server.pid(), &mut server.reader()),
    )?;
    std::fs::remove_file(file)?;
    Ok(findings)
}

fn files(flow: &Flow<'_>, bytes: u64) -> Result<Vec<Finding>> {
    let file = flow.root.join("random");
    make(&file, &format!("head -c {bytes} /dev/urandom"))?;
    let back = flow.root.join("back");
    let (from, to) = (text(&file)?, text(&back)?);
    let there = format!("{WORKLOAD}:random");
    let server = Server::of_file(flow.floor.clone(), &file)?;
    let reads = || flow.time(server.pid(), &mut server.reader());
    let note = "the floor sends the same file to `/dev/null`. Ours reads the file a second time for its SHA-256, writes it beside its place and renames it";
    let mut findings = flow.compare(
        &format!("a random file of {} into a workspace", shown(bytes)),
        &[&format!("{note}; in the workspace it is synced first.")],
        || flow.time(flow.host.pid(), &mut flow.command(&["cp", from, &there])),
        reads,
    )?;
    findings.extend(flow.compare(
        &format!("a random file of {} out of a workspace", shown(bytes)),
        &[&format!("{note}.")],
        || flow.time(flow.host.pid(), &mut flow.command(&["cp", &there, to])),
        reads,
    )?);
    // What went in and out is what it was.
    let same = Command::new("cmp").arg(&file).arg(&back).status()?;
    if !same.success() {
        return Err("the file that came back is another".into());
    }
    for finding in &mut findings {
        // A disk and two hashes are no WebSocket: the ratio is for orientation, memory is not.
        if finding.unit == Unit::Seconds {
            finding.goals.clear();
        }
    }
    std::fs::remove_file(file)?;
    std::fs::remove_file(back)?;
    Ok(findings)
}

/// A file of what a shell's line prints.
fn make(file: &Path, line: &str) -> Result<()> {
    let status = Command::new("/bin/sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(file)?)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{line}` ended with {status}").into())
    }
}

fn text(path: &Path) -> Result<&str> {
    Ok(path.to_str().ok_or("a path that is not UTF-8")?)
}

/// `1 GiB`, `64 MiB`.
fn shown(bytes: u64) -> String {
    match bytes >> 30 {
        0 => format!("{} MiB", bytes >> 20),
        gib => format!("{gib} GiB"),
    }
}
