//! Files of a workspace, in and out: any size, whatever breaks, and never outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fleet_e2e::{Host, Ran, wait_for};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

/// A host with a workload `box` that sleeps.
fn start() -> Host {
    let host = Host::start_fixed();
    run(&host, "box", &["sleep", "1000"]);
    host
}

fn run(host: &Host, name: &str, command: &[&str]) {
    let args = ["workload", "run", "--name", name, "--wait", "--"];
    host.cli(args.iter().chain(command)).ok();
}

fn cp(host: &Host, from: &str, to: &str) -> Ran {
    host.cli(["workload", "cp", from, to, "--output", "json"])
}

fn workload(host: &Host) -> PathBuf {
    let id = host.show("box")["id"].as_str().unwrap().to_owned();
    host.data().join("workloads").join(id)
}

fn workspace(host: &Host) -> PathBuf {
    workload(host).join("workspace")
}

/// A file of random bytes.
fn random(path: &Path, bytes: u64) {
    let mut source = std::io::Read::take(File::open("/dev/urandom").unwrap(), bytes);
    std::io::copy(&mut source, &mut File::create(path).unwrap()).unwrap();
}

fn is_same(one: &Path, other: &Path) -> bool {
    Command::new("cmp")
        .arg("-s")
        .args([one, other])
        .status()
        .unwrap()
        .success()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The kernel's figure of a process's memory, in bytes.
fn memory(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// Copies a random file of this size in and out, and says by how much the host's memory grew at most,
/// and how long each way took.
fn in_and_out(bytes: u64) -> (u64, Duration, Duration) {
    let host = start();
    let (source, back) = (host.scratch().join("source"), host.scratch().join("back"));
    random(&source, bytes);
    // The first transfer brings what every later one needs.
    let first = host.scratch().join("first");
    fs::write(&first, "x").unwrap();
    cp(&host, text(&first), "box:first").ok();
    let before = memory(host.pid(), "VmRSS");
    // proc(5): the peak is counted anew.
    fs::write(format!("/proc/{}/clear_refs", host.pid()), "5").unwrap();

    let began = Instant::now();
    let sent = cp(&host, text(&source), "box:deep/in/big").ok().json();
    let way_in = began.elapsed();
    assert_eq!((&sent["files"], &sent["bytes"]), (&json!(1), &json!(bytes)));
    let began = Instant::now();
    let fetched = cp(&host, "box:deep/in/big", text(&back)).ok().json();
    let way_out = began.elapsed();
    assert_eq!(sent["sha256"], fetched["sha256"]);
    assert_eq!(fetched["changed"], json!([]));
    assert!(is_same(&source, &workspace(&host).join("deep/in/big")));
    assert!(is_same(&source, &back));
    let grown = memory(host.pid(), "VmHWM").saturating_sub(before);
    eprintln!(
        "{} MiB: in {way_in:?}, out {way_out:?}, memory {} MiB and at most {} KiB more",
        bytes / MIB,
        before / MIB,
        grown / 1024
    );
    (grown, way_in, way_out)
}

#[test]
fn a_file_goes_in_and_out_as_it_is_while_the_hosts_memory_stays_flat() {
    let (grown, ..) = in_and_out(64 * MIB);
    assert!(grown < 32 * MIB, "{} MiB", grown / MIB);
}

#[test]
fn half_a_gibibyte_goes_in_and_out_while_the_hosts_memory_stays_flat() {
    let (grown, ..) = in_and_out(512 * MIB);
    assert!(grown < 32 * MIB, "{} MiB", grown / MIB);
}

#[test]
#[ignore = "the full size, for `cargo xtask soak`: it takes 15 GiB of disk"]
fn five_gibibytes_go_in_and_out_while_the_hosts_memory_stays_flat() {
    let (grown, ..) = in_and_out(5 * 1024 * MIB);
    assert!(grown < 32 * MIB, "{} MiB", grown / MIB);
}

fn spawn(host: &Host, args: &[&str]) -> Child {
    host.command_of(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills the host when a file whose name ends so has grown to some bytes, starts it again, and answers how
/// many it had.
fn kill_in_the_middle(host: &mut Host, folder: &Path, is_it: impl Fn(&str) -> bool) -> u64 {
    let began = Instant::now();
    let grown = loop {
        let size = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .find_map(|entry| {
                let entry = entry.ok()?;
                let size = entry.metadata().ok()?.len();
                (is_it(entry.file_name().to_str()?) && size > MIB).then_some(size)
            });
        if let Some(size) = size {
            host.kill();
            break size;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "nothing grows");
        std::thread::sleep(Duration::from_micros(200));
    };
    host.start_again();
    grown
}

fn ended(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_host_killed_in_the_middle_of_a_copy_is_bridged_in_both_directions() {
    const BYTES: u64 = 192 * MIB;
    let mut host = start();
    let source = host.scratch().join("source");
    random(&source, BYTES);
    let (uploads, placed) = (
        workload(&host).join("uploads"),
        workspace(&host).join("big"),
    );

    let sending = spawn(&host, &["workload", "cp", text(&source), "box:big"]);
    let arrived = kill_in_the_middle(&mut host, &uploads, |name| name.ends_with(".part"));
    assert!(
        arrived < BYTES,
        "the copy was over before the host was killed"
    );
    let sent = ended(sending).ok();
    assert_eq!(sent.stderr, "");
    assert!(is_same(&source, &placed));
    assert_eq!(fs::read_dir(&uploads).unwrap().count(), 0);

    let folder = host.scratch().join("back");
    fs::create_dir(&folder).unwrap();
    let fetching = spawn(&host, &["workload", "cp", "box:big", text(&folder)]);
    let came = kill_in_the_middle(&mut host, &folder, |name| name.starts_with(".fleet-host-"));
    assert!(came < BYTES, "the copy was over before the host was killed");
    let fetched = ended(fetching).ok();
    assert_eq!(fetched.stderr, "");
    assert!(is_same(&source, &folder.join("big")));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn folders_are_copied_with_their_modes_and_links_are_left_out() {
    let host = start();
    let site = host.scratch().join("site");
    fs::create_dir_all(site.join("a/b/empty")).unwrap();
    fs::write(site.join("a/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(site.join("a/run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(site.join("a/b/ü €.txt"), "text").unwrap();
    fs::write(site.join("nothing"), "").unwrap();
    symlink("/etc/passwd", site.join("a/link")).unwrap();

    let refused = cp(&host, text(&site), "box:public");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--recursive"), "{}", refused.stderr);
    let copied = host
        .cli([
            "workload",
            "cp",
            "-r",
            text(&site),
            "box:public",
            "--output",
            "json",
        ])
        .ok();
    assert!(copied.stderr.contains("symbolic link"), "{}", copied.stderr);
    let told = copied.json();
    assert_eq!((&told["files"], &told["folders"]), (&json!(3), &json!(4)));
    assert_eq!(told["skipped"], json!([text(&site.join("a/link"))]));
    let public = workspace(&host).join("public");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&public.join("a/run.sh")), 0o750);
    assert!(public.join("a/b/empty").is_dir() && !public.join("a/link").exists());

    // Once more: the folder is there now, so it goes into it.
    let again = ["workload", "cp", "-r", text(&site), "box:public"];
    assert_eq!(
        host.cli(again).ok().stdout.lines().next().unwrap(),
        format!(
            "copied {} to box:public/site: 3 files, 4 folders, 14 B",
            site.display()
        )
    );
    host.cli(["workload", "files", "rm", "box", "public/site", "-r"])
        .ok();

    symlink("a", public.join("inside")).unwrap();
    let back = host.scratch().join("back");
    let fetched = host
        .cli([
            "workload",
            "cp",
            "-r",
            "box:public",
            text(&back),
            "--output",
            "json",
        ])
        .ok();
    assert_eq!(fetched.json()["skipped"], json!(["box:public/inside"]));
    fs::remove_file(site.join("a/link")).unwrap();
    let same = Command::new("diff").arg("-r").args([&site, &back]).status();
    assert!(same.unwrap().success());
    assert_eq!(mode(&back.join("a/run.sh")), 0o750);

    let listed = host
        .cli(["workload", "files", "ls", "box", "public/a"])
        .ok();
    assert!(
        listed.stdout.contains("run.sh") && listed.stdout.contains("0750"),
        "{listed:?}"
    );
    host.cli(["workload", "files", "mkdir", "box", "x/y"]).ok();
    host.cli(["workload", "files", "mv", "box", "public/a", "x/y/a"])
        .ok();
    let full = host.cli(["workload", "files", "rm", "box", "x"]);
    assert_eq!(full.code, 4, "{full:?}");
    assert!(full.stderr.contains("--recursive"), "{}", full.stderr);
}

#[test]
fn standard_input_and_output_are_files_too_and_a_workload_need_not_run() {
    let host = start();
    let mut sending = host
        .command_of(["workload", "cp", "-", "box:from stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    sending.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(sending.wait().unwrap().success());
    host.cli(["workload", "stop", "box"]).ok();
    let output = host
        .command_of(["workload", "cp", "box:from stdin", "-", "--output", "json"])
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(0), bytes));
    let folder = cp(&host, "-", "box:");
    assert_eq!(folder.code, 2, "{folder:?}");
    let none = cp(&host, "box:none", "-");
    assert_eq!((none.code, none.stdout.as_str()), (3, ""), "{none:?}");
    host.cli(["workload", "rm", "box"]).ok();
    assert_eq!(cp(&host, "box:from stdin", "-").code, 3);
}

#[test]
fn nothing_outside_the_workspace_is_read_or_written() {
    let host = start();
    let (own, far) = (workspace(&host), host.scratch().join("far"));
    fs::create_dir(&far).unwrap();
    fs::write(far.join("secret"), "secret").unwrap();
    let file = host.scratch().join("file");
    fs::write(&file, "new").unwrap();
    symlink(&far, own.join("out")).unwrap();
    symlink(far.join("secret"), own.join("link")).unwrap();
    symlink("/proc/self/root/etc/passwd", own.join("proc")).unwrap();
    let owner = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, own.join("fifo"), owner).unwrap();
    for path in [
        "../runs",
        "/etc/passwd",
        "a/../../logs",
        "out/secret",
        "link",
        "proc",
    ] {
        let fetched = cp(&host, &format!("box:{path}"), "-");
        assert_eq!(
            (fetched.code, fetched.stdout.as_str()),
            (4, ""),
            "{path}: {fetched:?}"
        );
        assert!(
            fetched.stderr.contains("leads out of it"),
            "{path}: {fetched:?}"
        );
    }
    for path in ["../x", "/tmp/x", "out/x", "out/secret"] {
        let sent = cp(&host, text(&file), &format!("box:{path}"));
        assert_eq!(sent.code, 4, "{path}: {sent:?}");
        assert_eq!(
            host.cli(["workload", "files", "rm", "box", path]).code,
            4,
            "{path}"
        );
        assert_eq!(
            host.cli(["workload", "files", "mkdir", "box", path]).code,
            4,
            "{path}"
        );
    }
    let fifo = cp(&host, "box:fifo", "-");
    assert_eq!(fifo.code, 4, "{fifo:?}");
    assert!(fifo.stderr.contains("never opened"), "{fifo:?}");
    // A link in its place is replaced, and not what it points to.
    cp(&host, text(&file), "box:link").ok();
    cp(&host, text(&file), "box:fifo").ok();
    assert_eq!(fs::read_to_string(own.join("fifo")).unwrap(), "new");
    assert_eq!(fs::read_to_string(own.join("link")).unwrap(), "new");
    assert_eq!(fs::read_to_string(far.join("secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(&far).unwrap().count(), 1);
}

/// Puts a file and a link outward in one place, in turns, as fast as it can.
const SWAPS: &str = r#"
import os, sys
far = sys.argv[1]
turn = 0
while True:
    os.symlink(far, "new")
    os.replace("new", "door")
    with open("new", "w") as file:
        file.write("inside")
    os.replace("new", "door")
    turn += 1
    if turn == 100:
        print("swapping", flush=True)
"#;

#[test]
fn a_link_swapped_during_the_copy_leads_nowhere() {
    let host = Host::start();
    let far = host.scratch().join("far");
    fs::write(&far, "secret").unwrap();
    run(&host, "box", &["python3", "-c", SWAPS, text(&far)]);
    wait_for("it to swap", 20, || {
        let log = host.cli(["workload", "logs", "box"]).ok();
        log.stdout.contains("swapping").then_some(())
    });
    let path = "/api/v1/workloads/box/files?path=door";
    let (mut inside, mut refused) = (0, 0);
    let began = Instant::now();
    while inside < 50 || refused < 50 {
        let (status, body) = host.get(path).unwrap();
        match status {
            200 if body == "inside" => inside += 1,
            // One that was just made is empty.
            200 if body.is_empty() => {}
            422 => {
                let problem: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(problem["code"], "outside-workspace", "{problem}");
                refused += 1;
            }
            other => panic!("{other}: {body}"),
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{inside} {refused}"
        );
    }
    let file = host.scratch().join("file");
    fs::write(&file, "new").unwrap();
    for _ in 0..20 {
        cp(&host, text(&file), "box:door").ok();
    }
    assert_eq!(fs::read_to_string(&far).unwrap(), "secret");
}

#[test]
fn what_does_not_fit_is_refused_before_it_begins() {
    let host = Host::start();
    let spec = [
        "workload", "run", "--name", "box", "--disk", "1MiB", "--wait", "--", "sleep", "1000",
    ];
    host.cli(spec).ok();
    let large = host.scratch().join("large");
    File::create(&large).unwrap().set_len(4 * MIB).unwrap();
    let over = cp(&host, text(&large), "box:large");
    assert_eq!(over.code, 4, "{over:?}");
    assert!(over.stderr.contains("limit of 1MiB"), "{over:?}");
    // What a broken-off upload left gives way to the next one.
    let part = host.scratch().join("part");
    random(&part, 700 << 10);
    let put = format!(
        "{}/api/v1/workloads/box/files?path=cut&size=800000",
        host.url()
    );
    let ran = Command::new("curl")
        .args(["-sS", "--fail-with-body", "-T", text(&part), &put])
        .args(["-H", &format!("Authorization: Bearer {}", host.token())])
        .args(["-H", "Idempotency-Key: cut"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&ran.stdout),
        format!(r#"{{"arrived":{}}}"#, 700 << 10),
        "{ran:?}"
    );
    assert_eq!(cp(&host, text(&part), "box:whole").code, 0);
    // As large as a file may be: sparse, so that it takes nothing here.
    run(&host, "free", &["sleep", "1000"]);
    File::create(&large).unwrap().set_len(1 << 43).unwrap();
    let full = cp(&host, text(&large), "free:large");
    assert_eq!(full.code, 5, "{full:?}");
    assert!(full.stderr.contains("MiB to give"), "{full:?}");
    let state = host.show("box")["state"].clone();
    assert_eq!(state, "running", "a refusal harms nobody");
}

/// The commands of docs/files.md, as somebody without our command line would type them.
#[test]
fn curl_is_enough() {
    let host = start();
    let folder = host.scratch();
    fs::write(folder.join("app.toml"), "debug = true\n").unwrap();
    random(&folder.join("big.iso"), 3 * MIB);
    let script = format!(
        r#"
set -eu
files={}/api/v1/workloads/box/files
fleet() {{ curl -sS --fail-with-body -H "Authorization: Bearer {}" "$@"; }}
fleet -T app.toml "$files?path=conf/app.toml&mode=0640" > put
fleet -o back.toml "$files?path=conf/app.toml"
cmp app.toml back.toml
fleet "$files/list?path=conf" > list
fleet "$files/stat?path=conf/app.toml&sha256=true" > stat
fleet -X POST "$files/folders?path=conf/old"
fleet -X POST "$files/move?from=conf/app.toml&to=conf/old/app.toml"
fleet -X DELETE "$files?path=conf&recursive=true"
size=$(stat -c %s big.iso)
sum=$(sha256sum big.iso | cut -d' ' -f1)
put="$files?path=big.iso&size=$size&sha256=$sum"
head -c 1000000 big.iso | fleet -H "Idempotency-Key: iso-1" -T - "$put" > part
arrived=$(fleet "$files/uploads?key=iso-1" | sed 's/[^0-9]//g')
test "$arrived" = 1000000
tail -c +$((arrived + 1)) big.iso | fleet -H "Idempotency-Key: iso-1" -T - "$put&offset=$arrived" > whole
head -c 12345 big.iso > back.iso
fleet -C - -o back.iso "$files?path=big.iso"
cmp big.iso back.iso
fleet -G --data-urlencode "path=no such & file" "$files/stat" > none || true
"#,
        host.url(),
        host.token()
    );
    let ran = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let json = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    };
    assert_eq!(json("put")["arrived"], 13);
    assert_eq!(json("list")["items"][0]["mode"], "0640");
    assert_eq!(json("stat")["sha256"], json("put")["sha256"]);
    assert_eq!(json("part"), json!({"arrived": 1_000_000}));
    assert_eq!(json("whole")["arrived"], 3 * MIB);
    assert_eq!(json("none")["code"], "no-such-file");
}
