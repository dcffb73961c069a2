//! What a program is held to: by the kernel, and for its log by the shim.
//!
//! Where this machine holds a limit the real thing is shown; where it cannot, the refusal is.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fleet_capability::cgroup::Choice;
use fleet_capability::log::LogLimits;
use fleet_capability::{OutputOptions, Processes, Stream};
use fleet_model::spec::Limits;
use fleet_model::{ErrorKind, Verb};

use crate::harness::{DEADLINE, Host, Run, any, caller, joined, lives, op, request, until};

fn limits(json: &str) -> Limits {
    serde_json::from_str(json).unwrap()
}

/// A prepared script with limits, where this machine can hold them; else it was refused as it should.
async fn limited<'a>(host: &'a Host, json: &str, script: &str) -> Option<Run<'a>> {
    let mut request = request(&["sh", "-c", script]);
    request.limits = limits(json);
    let held = host.processes.facilities()["limits"].clone();
    let held: Vec<&str> = held.split(',').collect();
    if request
        .limits
        .kernel()
        .iter()
        .all(|name| held.contains(name))
    {
        return Some(host.prepared(request).await);
    }
    refused(host, json).await;
    None
}

/// What is written before the program enters its groups.
fn settings(run: &Run<'_>) -> Vec<serde_json::Value> {
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(run.slot().join("request.json")).unwrap()).unwrap();
    let settings = record["settings"].as_array().unwrap();
    settings
        .iter()
        .filter(|setting| {
            !setting["file"]
                .as_str()
                .unwrap()
                .ends_with("subtree_control")
        })
        .cloned()
        .collect()
}

async fn refused(host: &Host, json: &str) {
    let mut request = request(&["true"]);
    request.limits = limits(json);
    let op = op(&request, Verb::Create);
    let id = request.workload;
    let error = host
        .processes
        .prepare(&caller(), &any(), &op, request)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Unsupported, "limits-unsupported")
    );
    assert!(error.message.contains("leave"), "{error}");
    assert!(!host.processes.workspaces().folder(id).exists());
}

#[tokio::test]
async fn what_needs_too_much_memory_is_killed_and_the_exit_says_so() {
    let host = Host::new();
    for script in ["exec tail /dev/zero", "tail /dev/zero; exit $?"] {
        let Some(run) = limited(&host, r#"{"memory":"32MiB"}"#, script).await else {
            return;
        };
        assert_eq!(run.run().await.code, 137);
        assert_eq!(run.attribute("oom").await.as_deref(), Some("true"));
        let record = fs::read_to_string(run.slot().join("exit.json")).unwrap();
        assert!(record.contains("\"oom\": true"), "{record}");
    }
    let modest = limited(&host, r#"{"memory":"32MiB"}"#, "exit 3").await;
    let modest = modest.unwrap();
    assert_eq!(modest.run().await.code, 3);
    assert_eq!(modest.attribute("oom").await, None);
}

#[tokio::test]
async fn what_forks_without_end_stays_below_its_limit_and_the_host_lives() {
    let host = Host::new();
    let script = "while :; do sleep 71 & echo $! >> forks; done";
    let Some(run) = limited(&host, r#"{"processes":12}"#, script).await else {
        return;
    };
    // The shell gives up when it cannot fork.
    assert_eq!(run.run().await.code, 2);
    let forks = fs::read_to_string(run.workspace().join("forks")).unwrap();
    let forks: Vec<u32> = forks.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(forks.len(), 11, "with the shell itself: 12");
    assert!(!forks.iter().any(|pid| lives(*pid)));
    let frames = run.output(OutputOptions::default()).await;
    let said = String::from_utf8(joined(&frames, Stream::Event)).unwrap();
    assert!(said.contains("raise `processes`"), "{said}");
    assert_eq!(host.script("exit 5").await.run().await.code, 5);
}

#[tokio::test]
async fn what_spins_has_its_share_of_a_processor() {
    let host = Host::new();
    let Some(run) = limited(&host, r#"{"cpu":0.2}"#, "while :; do :; done").await else {
        return;
    };
    let begun = Instant::now();
    let pid = run.start().await.pid.unwrap();
    let used = until(|| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        (ticks >= 30).then_some(ticks)
    })
    .await;
    // Ticks are hundredths of a second.
    let used = Duration::from_millis(used * 10);
    let share = used.as_secs_f64() / begun.elapsed().as_secs_f64();
    assert!(share < 0.5, "{share} of a processor");
    // On a busy machine that may be so for another reason.
    let group = settings(&run)
        .iter()
        .find_map(|setting| Some(Path::new(setting["file"].as_str()?).parent()?.to_owned()))
        .unwrap();
    let stat = fs::read_to_string(group.join("cpu.stat")).unwrap();
    let throttled = stat
        .lines()
        .find_map(|line| line.strip_prefix("nr_throttled "));
    assert_ne!(throttled.unwrap(), "0", "{stat}");
}

#[tokio::test]
async fn limits_are_there_before_the_first_instruction_and_go_with_the_process() {
    let host = Host::new();
    let json = r#"{"cpu":0.5,"memory":"64MiB","processes":9}"#;
    let script = "while read file; do cat \"$file\"; done < files > seen; read line < go";
    let Some(run) = limited(&host, json, script).await else {
        return;
    };
    let fifo = run.workspace().join("go");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let settings = settings(&run).into_iter();
    let (files, texts): (Vec<String>, Vec<String>) = settings
        .filter(|setting| setting["unless"] != "missing")
        .map(|setting| {
            let text = |key: &str| setting[key].as_str().unwrap().to_owned();
            (text("file"), text("text") + "\n")
        })
        .unzip();
    assert!(files.iter().any(|file| file.ends_with("/pids.max")));
    fs::write(run.workspace().join("files"), files.join("\n") + "\n").unwrap();
    run.start().await;
    let seen = run.workspace().join("seen");
    let texts = texts.concat();
    until(|| (fs::read_to_string(&seen).ok()? == texts).then_some(())).await;
    fs::write(&fifo, "go\n").unwrap();
    assert_eq!(run.exit().await.code, 0);
    run.remove().await;
    for file in files {
        let group = Path::new(&file).parent().unwrap();
        assert!(!group.exists(), "{file}");
    }
}

#[tokio::test]
async fn memory_that_nothing_can_run_in_is_said_to_be_too_little() {
    let host = Host::new();
    let Some(run) = limited(&host, r#"{"memory":"4KiB"}"#, "exit 0").await else {
        return;
    };
    let error = run.try_start().await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Invalid, "memory-limit-too-small")
    );
    assert!(error.message.contains("4KiB"), "{error}");
}

#[tokio::test]
async fn without_cgroups_limits_are_refused_one_by_one() {
    let host = Host::isolated(Choice::ProcessGroup);
    let said = host.processes.facilities();
    assert_eq!(said["limits"], "");
    assert!(said.contains_key("limits-reason"));
    for json in [r#"{"cpu":1}"#, r#"{"memory":"1GiB"}"#, r#"{"processes":5}"#] {
        refused(&host, json).await;
    }
    let free = limited(&host, r#"{"disk":"1GiB","log":"1MiB"}"#, "exit 4").await;
    assert_eq!(free.unwrap().run().await.code, 4);
}

#[tokio::test]
async fn a_log_stays_below_its_limit_and_keeps_the_newest() {
    let host = Host::new();
    let mut request = request(&["sh", "-c", "seq 1 200000"]);
    request.limits.log = Some(LogLimits::LEAST);
    let run = host.prepared(request).await;
    assert_eq!(run.run().await.code, 0);
    let logs = fs::read_dir(run.workload_folder().join("logs")).unwrap();
    let total: u64 = logs
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(total <= LogLimits::LEAST.as_bytes(), "{total}");
    let frames = run.output(OutputOptions::default()).await;
    let text = String::from_utf8(joined(&frames, Stream::Stdout)).unwrap();
    assert!(text.ends_with("\n200000\n"));

    let mut small = crate::harness::request(&["true"]);
    small.limits.log = Some("1KiB".parse().unwrap());
    let op = op(&small, Verb::Create);
    let error = host
        .processes
        .prepare(&caller(), &any(), &op, small)
        .await
        .unwrap_err();
    assert_eq!(error.code, "log-limit-too-small");
    assert!(error.message.contains("128KiB"), "{error}");
}

#[tokio::test]
async fn many_starts_with_limits_at_once_all_hold() {
    let host = Host::new();
    let mut runs = Vec::new();
    for _ in 0..12 {
        let Some(run) = limited(&host, r#"{"processes":2}"#, "sleep 0 && exit 6").await else {
            return;
        };
        runs.push(run);
    }
    let begun = Instant::now();
    let exits = futures::future::join_all(runs.iter().map(|run| run.run())).await;
    assert!(exits.iter().all(|exit| exit.code == 6), "{exits:?}");
    assert!(begun.elapsed() < DEADLINE);
}
