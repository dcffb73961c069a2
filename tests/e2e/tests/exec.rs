//! Programs beside a workload: as if they ran here, and however their host fares.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fleet_e2e::{Host, Pty, Ran, wait_for};

/// A host with a workload `web` that runs.
fn host() -> Host {
    let host = Host::start_fixed();
    let run = "workload run --name web --wait -- sleep infinity";
    host.cli(run.split(' ')).ok();
    host
}

/// Runs a shell script beside `web`, with these flags.
fn sh(host: &Host, flags: &[&str], script: &str) -> Ran {
    host.cli(exec(flags, &["sh", "-c", script]))
}

fn exec<'a>(flags: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
    [&["workload", "exec", "web"], flags, &["--"], command].concat()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

fn ended(child: &mut Child) -> i32 {
    let status = wait_for("its end", 30, || child.try_wait().unwrap());
    status.code().unwrap_or(-1)
}

/// A command of the CLI whose streams are pipes.
fn piped(host: &Host, args: &[&str]) -> Command {
    let mut command = host.command();
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Reads lines until one that contains this.
fn until(lines: &mut impl BufRead, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "no {text:?}");
    }
}

#[test]
fn a_program_beside_runs_as_if_it_ran_here() {
    let host = host();
    let ran = sh(&host, &[], "printf 'out\\0'; echo err >&2; exit 7");
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (7, "out\0", "err\n")
    );
    // Whatever the form of answers, and with the workload's own environment and workspace.
    let place = "echo $A; pwd; read x; echo \"[$x]\"";
    let ran = sh(&host, &["--output", "json", "--env", "A=b c"], place).ok();
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!((lines[0], lines[2]), ("b c", "[]"), "{ran:?}");
    assert!(lines[1].ends_with("/workspace"), "{ran:?}");
    let ran = sh(&host, &[], "kill -KILL $$");
    assert_eq!((ran.code, ran.stderr.as_str()), (137, ""));

    for (command, code, says) in [
        (&["no-such-program"][..], 127, "no-such-program"),
        (&["/nowhere/program"], 127, "/nowhere/program"),
        (&["/etc/passwd"], 126, "/etc/passwd"),
        (&["/etc"], 126, "/etc"),
    ] {
        let ran = host.cli(exec(&[], command));
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(
            ran.stderr.contains(says) && ran.stdout.is_empty(),
            "{ran:?}"
        );
    }
    for (args, says) in [
        ("workload exec nope -- true", "nope"),
        ("workload exec web", "COMMAND"),
        ("workload exec web --nope -- true", "--nope"),
        ("workload exec web -t -- true", "leave --tty out"),
        ("workload exec web --timeout 0s -- true", "more time"),
        ("workload attach ex_nonsense", "ex_"),
    ] {
        let ran = host.cli(args.split(' '));
        assert_eq!(ran.code, 125, "{args}: {ran:?}");
        assert!(ran.stderr.contains(says), "{args}: {ran:?}");
    }
    let empty = host.cli(exec(&[], &[""]));
    assert_eq!(empty.code, 125, "{empty:?}");

    // Its time is over, and nothing of it is left.
    let begun = Instant::now();
    let ran = sh(&host, &["--timeout", "1s"], "echo begun; sleep 600");
    assert_eq!((ran.code, ran.stdout.as_str()), (124, "begun\n"), "{ran:?}");
    assert!(ran.stderr.contains("its time was up"), "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(15));
    let stubborn = "trap '' TERM; while :; do sleep 0.1; done";
    let ran = sh(&host, &["--timeout", "1s"], stubborn);
    assert_eq!(ran.code, 124, "{ran:?}");

    let listed = host.cli(["workload", "execs", "web"]).ok().stdout;
    assert!(
        listed.contains("exited 7") && listed.contains("timed out"),
        "{listed}"
    );
    host.cli(["workload", "stop", "web"]).ok();
    let ran = sh(&host, &[], "true");
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains("workload start"), "{ran:?}");
}

#[test]
fn what_is_piped_in_comes_out_the_same() {
    let host = host();
    let path = host.scratch().join("random");
    let mut random = vec![0; 8 << 20];
    File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut random)
        .unwrap();
    std::fs::write(&path, &random).unwrap();
    let back = host
        .command()
        .args(exec(&["-i"], &["cat"]))
        .stdin(File::open(&path).unwrap())
        .output()
        .unwrap();
    assert_eq!(back.status.code(), Some(0), "{:?}", back.stderr);
    assert!(
        back.stdout == random,
        "{} bytes came back",
        back.stdout.len()
    );
    // One that says nothing before it has read all.
    let mut silent = host
        .command()
        .args(exec(&["-i"], &["sh", "-c", "wc -c"]))
        .stdin(File::open(&path).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(ended(&mut silent), 0);
    let mut count = String::new();
    silent
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut count)
        .unwrap();
    assert_eq!(count.trim(), random.len().to_string());
    // A program that makes much of little, and whose output is read slowly.
    let grown = "import sys\nfor line in sys.stdin.buffer: sys.stdout.buffer.write(line * 512)";
    let mut child = piped(&host, &exec(&["-i"], &["python3", "-c", grown]))
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let line = [b'x'; 63].iter().chain(b"\n").copied().collect::<Vec<_>>();
    let input = line.repeat(1024);
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let mut out = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.by_ref().take(1 << 20).read_to_end(&mut out).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    stdout.read_to_end(&mut out).unwrap();
    writer.join().unwrap();
    assert_eq!(ended(&mut child), 0);
    assert_eq!(out.len(), 64 * 1024 * 512);
    assert!(out.chunks(64).all(|chunk| chunk == line));

    // Whoever reads no more ends it, as a pipe does.
    let mut child = piped(&host, &exec(&[], &["yes"])).spawn().unwrap();
    let mut first = [0; 2];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    assert_eq!((ended(&mut child), &first), (141, b"y\n"));
}

#[test]
fn one_that_is_left_goes_on_and_is_attached_to_again() {
    let host = host();
    let script =
        "i=0; while [ $i -lt 5 ]; do echo line $i; i=$((i+1)); done; read go; echo $go; exit 3";
    let begun = sh(&host, &["--detach", "-i"], script).ok();
    let id = begun.stdout.trim().to_owned();
    assert!(
        id.starts_with("ex_") && begun.stderr.is_empty(),
        "{begun:?}"
    );
    let shown = host.cli(["workload", "execs", "web", "--output", "json"]);
    let shown = shown.ok().json();
    assert_eq!(
        (&shown["items"][0]["id"], &shown["items"][0]["state"]),
        (&id.clone().into(), &"running".into())
    );

    // A client that vanishes leaves it as it is.
    let attach = ["workload", "attach", &id, "-i"];
    let mut first = piped(&host, &attach).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap());
    until(&mut lines, "line 4");
    first.kill().unwrap();
    first.wait().unwrap();
    // One that comes later has it.
    let mut second = piped(&host, &attach).spawn().unwrap();
    until(&mut BufReader::new(second.stdout.take().unwrap()), "line 4");
    let mut third = piped(&host, &attach).spawn().unwrap();
    assert_eq!(ended(&mut second), 125);
    let mut said = String::new();
    second
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(said.contains("somebody else has attached"), "{said}");
    let mut stdin = third.stdin.take().unwrap();
    stdin.write_all(b"on\n").unwrap();
    drop(stdin);
    assert_eq!(ended(&mut third), 3);
    let mut all = String::new();
    third
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut all)
        .unwrap();
    let want = "line 0\nline 1\nline 2\nline 3\nline 4\non\n";
    assert_eq!(all, want);
    // Its end is known as long as it is remembered.
    let late = host.cli(["workload", "attach", &id, "--after", "35"]);
    assert_eq!(late.code, 3, "{late:?}");

    let begun = sh(&host, &["--detach", "--output", "json"], "sleep 600");
    let id = begun.ok().json()["id"].as_str().unwrap().to_owned();
    host.cli(["workload", "rm", "web"]).ok();
    let gone = host.cli(["workload", "attach", &id]);
    assert_eq!(gone.code, 125);
    assert!(gone.stderr.contains("no program"), "{gone:?}");
}

#[test]
fn ctrl_c_reaches_the_program_and_a_second_one_leaves_it() {
    let host = host();
    let caught = "trap 'echo caught; exit 42' INT; echo ready; while :; do sleep 0.05; done";
    let mut child = piped(&host, &exec(&[], &["sh", "-c", caught]))
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    until(&mut lines, "ready");
    signal(&child, rustix::process::Signal::INT);
    until(&mut lines, "caught");
    assert_eq!(ended(&mut child), 42);

    let mut child = piped(&host, &exec(&[], &["sleep", "600"])).spawn().unwrap();
    wait_for("it to run", 10, || {
        let listed = host.cli(["workload", "execs", "web"]).ok().stdout;
        listed.contains("running").then_some(())
    });
    // Until it is attached the signal is this command's own.
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, rustix::process::Signal::TERM);
    assert_eq!(ended(&mut child), 143);

    let deaf = "trap '' INT; echo ready; while :; do sleep 0.05; done";
    let mut child = piped(&host, &exec(&[], &["sh", "-c", deaf]))
        .spawn()
        .unwrap();
    until(&mut BufReader::new(child.stdout.take().unwrap()), "ready");
    signal(&child, rustix::process::Signal::INT);
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, rustix::process::Signal::INT);
    assert_eq!(ended(&mut child), 130);
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(said.contains("workload attach ex_"), "{said}");
    let listed = host.cli(["workload", "execs", "web"]).ok().stdout;
    assert!(listed.contains("running"), "{listed}");
}

#[test]
fn a_host_that_is_killed_in_the_middle_costs_no_line() {
    let mut host = host();
    let count = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 5";
    let mut child = piped(&host, &exec(&["-i"], &["sh", "-c", count]))
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    until(&mut lines, "line 50");
    host.kill();
    // The program does not wait for its host.
    std::thread::sleep(Duration::from_millis(500));
    host.start_again();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let numbers: Vec<usize> = rest
        .lines()
        .map(|line| line.strip_prefix("line ").unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (51..400).collect::<Vec<_>>());
    assert_eq!(ended(&mut child), 5);
}

#[test]
fn a_person_at_a_terminal_works_as_on_their_own() {
    let host = host();
    let shell = host.command_of(exec(&["-it"], &["sh"]));
    let mut person = Pty::start(&shell, 90, 30);
    person.press("PS1='=> '; stty size\r");
    person.until("30 90");
    assert!(person.is_raw());
    person.resize(132, 43);
    wait_for("the new size", 10, || {
        person.clear();
        person.press("stty size\r");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(500) {
            if person.shown().contains("43 132") {
                return Some(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    });
    person.press("echo $TERM; printf '\\033[31mred\\033[0m\\n'\r");
    let shown = person.until("\u{1b}[31mred\u{1b}[0m");
    assert!(shown.contains("xterm-256color"), "{shown:?}");
    // Ctrl-C ends what is in the foreground, not the shell.
    person.press("sleep 600\r");
    std::thread::sleep(Duration::from_millis(300));
    person.press("\u{3}");
    person.press("echo after=$?\r");
    person.until("after=130");

    // A program that draws on the whole screen.
    let screen = "import curses\ndef main(w):\n curses.use_default_colors()\n curses.init_pair(1, curses.COLOR_GREEN, -1)\n w.addstr(5, 10, 'in the middle', curses.color_pair(1))\n w.refresh()\n while w.getkey() != 'q': pass\ncurses.wrapper(main)";
    person.clear();
    person.press(&format!(
        "python3 -c \"{}\"; echo drawn=$?\r",
        screen.replace('\n', "\r")
    ));
    let drawn = person.until("\u{1b}[6;11H");
    assert!(drawn.contains("\u{1b}[?1049h"), "{drawn:?}");
    person.until("\u{1b}[32m");
    person.press("q");
    person.until("drawn=0");

    // Ctrl-P alone is a key; with Ctrl-Q it leaves.
    person.press("echo still here\u{10}\r");
    person.press("\u{10}\u{11}");
    assert_eq!(person.end(), 0);
    assert!(!person.is_raw(), "the terminal is as it was");
    let told = person.until("workload attach ex_");
    let again = told.split("workload attach ").nth(1).unwrap();
    let words: Vec<_> = again
        .split(['`', '\r'])
        .next()
        .unwrap()
        .split(' ')
        .collect();
    let attach = [&["workload", "attach"], words.as_slice()].concat();
    let mut person = Pty::start(&host.command_of(&attach), 100, 20);
    person.press("stty size\r");
    person.until("20 100");
    person.press("exit 9\r");
    assert_eq!(person.end(), 9);
    assert!(!person.is_raw());

    // What ends this command leaves the terminal as it was, too.
    let mut person = Pty::start(&shell, 80, 24);
    person.press("echo up\r");
    person.until("up");
    wait_for("raw mode", 10, || person.is_raw().then_some(()));
    let pid = rustix::process::Pid::from_raw(person.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(person.end(), 143);
    assert!(!person.is_raw());

    // A window that is closed ends the command, and not the program.
    let mut person = Pty::start(&shell, 80, 24);
    wait_for("raw mode", 10, || person.is_raw().then_some(()));
    person.press("sleep 0.5; echo on > went\r");
    person.until("> went");
    assert_eq!(person.close(), 129);
    wait_for("what it did later", 10, || {
        (sh(&host, &[], "cat went").stdout == "on\n").then_some(())
    });
}

#[test]
fn a_long_one_delivers_every_line_though_its_client_and_its_host_are_killed() {
    long(Duration::from_secs(15));
}

#[test]
#[ignore = "the full size, for `cargo xtask soak`"]
fn one_of_twenty_minutes_delivers_every_line_though_its_client_and_its_host_are_killed() {
    long(Duration::from_secs(20 * 60));
}

/// A program counts; its client is killed every few seconds, and the host once.
fn long(time: Duration) {
    let mut host = host();
    let lines = time.as_millis() / 10;
    let count = format!(
        "import time\nfor n in range({lines}):\n print('line', n, flush=True)\n time.sleep(0.01)\nraise SystemExit(77)"
    );
    let begun = host
        .cli(exec(&["--detach"], &["python3", "-c", &count]))
        .ok();
    let id = begun.stdout.trim().to_owned();
    let (mut all, mut clients, mut host_is_killed) = (Vec::new(), 0, false);
    let clock = Instant::now();
    let code = loop {
        let after = all.len().to_string();
        let attach = ["workload", "attach", &id, "--after", &after];
        let mut child = piped(&host, &attach).spawn().unwrap();
        clients += 1;
        let mut stdout = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut seen = Vec::new();
            stdout.read_to_end(&mut seen).unwrap();
            seen
        });
        let mut begun = Instant::now();
        let patience = Duration::from_millis(2_000 + 700 * (clients % 3));
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            if !host_is_killed && clock.elapsed() > time / 2 {
                // This client lives on, and comes back by itself.
                host.kill();
                host.start_again();
                (host_is_killed, begun) = (true, Instant::now());
            }
            if begun.elapsed() > patience {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        all.extend(reader.join().unwrap());
        if let Some(code) = ended {
            break code;
        }
    };
    assert_eq!(code, 77);
    assert!(clients > 3 && host_is_killed, "{clients} clients");
    let text = String::from_utf8(all).unwrap();
    assert_eq!(text.lines().count(), usize::try_from(lines).unwrap());
    for (n, line) in text.lines().enumerate() {
        assert_eq!(line, format!("line {n}"));
    }
}
