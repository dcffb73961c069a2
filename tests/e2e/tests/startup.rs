//! What keeps a host from starting: it refuses before anything is changed, and says what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use fleet_e2e::{Host, Ran, binary, on_disk, plugins, wait_for};

/// A host that is about to start, after these words.
fn host(before: &[OsString], data: &Path) -> Command {
    let mut words = before.iter().cloned().chain([binary().into()]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .env("FLEET_LISTEN", "127.0.0.1:0")
        .args(["run", "--plugins"])
        .arg(plugins())
        .arg("--data")
        .arg(data);
    command
}

/// It ends by itself, and soon: with this exit code, what is wrong, and the remedy.
fn refuses(command: &mut Command, code: i32, words: &[&str]) -> Ran {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("its refusal", 30, || child.try_wait().unwrap())
    }));
    if ended.is_err() {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    let refused = Ran::from(&child.wait_with_output().unwrap());
    assert_eq!((refused.code, &*refused.stdout), (code, ""), "{refused:?}");
    for word in [&["error: "], words].concat() {
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
    refused
}

#[test]
fn a_port_in_use_is_refused_and_a_free_one_offered() {
    let folder = tempfile::tempdir().unwrap();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let mut command = host(&[], &folder.path().join("data"));
    refuses(
        command.args(["--listen", &address]),
        4,
        &[
            &format!("{address} is in use"),
            "help: stop that one",
            "`--listen 127.0.0.1:0` picks a free port",
        ],
    );
}

#[test]
fn a_second_host_on_one_data_folder_is_refused_with_the_first_ones_pid() {
    let first = Host::start();
    let pid = first.pid();
    refuses(
        &mut host(&[], &first.data()),
        4,
        &[
            &format!(
                "{} is in use by the host with pid {pid}",
                first.data().display()
            ),
            &format!("help: stop that one (`kill {pid}`), or name another folder with --data"),
        ],
    );
    assert_eq!(first.get("/ready").unwrap().0, 200, "the first is unharmed");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    if let Some(disk) = on_disk(&data, "ro,mode=0700") {
        refuses(
            &mut host(&disk, &data),
            1,
            &[
                &format!("cannot use {}", data.display()),
                "read-only file system",
                "help: name a folder you can write to with --data or FLEET_DATA",
            ],
        );
    }
    // Permissions do not keep root from anything.
    if !rustix::process::geteuid().is_root() {
        std::fs::set_permissions(&data, Permissions::from_mode(0o500)).unwrap();
        refuses(
            &mut host(&[], &data),
            1,
            &[
                "permission denied",
                "help: name a folder you can write to with --data or FLEET_DATA",
            ],
        );
    }
}

#[test]
fn a_full_data_folder_is_refused_wherever_the_space_ends() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for kib in [4, 8, 16, 32, 64, 128] {
        let Some(disk) = on_disk(&data, &format!("size={kib}k,mode=0700")) else {
            return;
        };
        let refused = refuses(&mut host(&disk, &data), 1, &["no space left"]);
        let remedies = ["free some", "see that there is space"];
        assert!(
            remedies
                .iter()
                .any(|remedy| refused.stderr.contains(remedy)),
            "the remedy, with {kib} KiB: {refused:?}"
        );
    }
}

#[test]
fn a_database_that_is_damaged_or_not_the_one_that_was_there_is_refused_and_left_alone() {
    let mut running = Host::start();
    running
        .cli(["workload", "run", "--name", "kept", "--wait", "--", "true"])
        .ok();
    assert!(running.interrupt().success());
    let data = running.data();
    for name in ["controller.db", "node.db"] {
        let file = data.join(name);
        let good = std::fs::read(&file).unwrap();
        let mut damaged = good.clone();
        // Behind the header of the first page: where the tables are listed.
        damaged[100..4096].fill(0xa5);
        let shown = file.display().to_string();
        for (content, words) in [
            (
                Some(damaged),
                [
                    &*format!("{shown} is damaged and was left as it is"),
                    "restore a backup",
                ],
            ),
            (
                Some(good[..good.len() / 2].to_vec()),
                [
                    &format!("{shown} is damaged and was left as it is"),
                    "restore a backup",
                ],
            ),
            (
                Some(b"a letter, not a database".to_vec()),
                [
                    &format!("{shown} is not a fleet-host database"),
                    "choose another data folder, or move the file away",
                ],
            ),
            (
                None,
                [
                    &format!("{name} in {} is not the one that was there", data.display()),
                    &format!("help: put {name} back from a backup"),
                ],
            ),
        ] {
            match &content {
                Some(content) => std::fs::write(&file, content).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            let code = if content.is_some() { 1 } else { 4 };
            refuses(&mut host(&[], &data), code, &words);
            if let Some(content) = content {
                assert_eq!(std::fs::read(&file).unwrap(), content, "left as it was");
            }
            for beside in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(data.join(format!("{name}{beside}")));
            }
        }
        std::fs::write(&file, good).unwrap();
    }
    // Put back as it was, it serves as before.
    running.start_again();
    assert_eq!(running.show("kept")["exit_code"], 0);
}

#[test]
fn a_mistake_in_the_hosts_own_files_is_placed_and_says_what_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("x.toml");
    for (flag, text, code, words) in [
        (
            "--config",
            "listen = \"127.0.0.1:0\"\nheartbaet = \"1s\"\n",
            2,
            [":2:1: unknown key `heartbaet`", "did you mean `heartbeat`?"],
        ),
        (
            "--config",
            "[plugins]\nrequired = [\"native\"\n",
            2,
            [":2:21: unclosed array", "expected `]`"],
        ),
        (
            "--grants",
            "[native]\nlogs = true\n",
            2,
            [
                ":2: unknown field `logs`, expected one of `log`",
                "mend that file, or name another with --grants",
            ],
        ),
        (
            "--grants",
            "[native\nlog = true\n",
            2,
            [":1: ", "mend that file, or name another with --grants"],
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let place = format!("{}{}", file.display(), words[0]);
        refuses(
            host(&[], &data).arg(flag).arg(&file),
            code,
            &[&place, words[1]],
        );
    }
    let unknown = ["run", "--plugin", "/tmp"];
    refuses(
        Command::new(binary()).args(unknown),
        2,
        &["'--plugin'", "'--plugins'"],
    );
}
