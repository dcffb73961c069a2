//! What a program leaves behind when its keeper was killed, and nothing that is not its own.

use std::fs;
use std::process::{Child, Command, Stdio};

use fleet_capability::ProcessState;
use fleet_capability::cgroup::Choice;

use crate::harness::{BOTH, Host, Run, kill_9, lives, shim_of, until};

/// Two daemons, of which one has no parent left that descends from the program.
const DAEMONS: &str =
    "sh -c 'setsid nohup sh -c \"echo \\$\\$ > daemon; sleep 73\" >/dev/null 2>&1 & '; ";

fn marker(run: &Run<'_>) -> String {
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(run.slot().join("request.json")).unwrap()).unwrap();
    record["marker"].as_str().unwrap().to_owned()
}

/// Ended and collected when the test is over.
struct Stranger(Child);

impl Stranger {
    fn with(marker: &str) -> Self {
        let mut command = Command::new("sleep");
        let command = command
            .arg("74")
            .env("FLEET_TRY", marker)
            .stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn lives(&self) -> bool {
        lives(self.0.id())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn daemons_of_a_program_whose_keeper_was_killed_are_found() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host.script(&format!("{DAEMONS} sleep 75")).await;
        let pid = run.start().await.pid.unwrap();
        let daemon: u32 = run.file("daemon").await.parse().unwrap();
        let shim = shim_of(&run);
        kill_9(shim);
        until(|| (!lives(shim)).then_some(())).await;
        assert!(lives(daemon) && lives(pid));
        run.remove().await;
        assert!(!lives(daemon) && !lives(pid));
        assert!(!run.slot().exists());
    }
}

#[tokio::test]
async fn they_are_found_also_when_the_program_itself_is_gone() {
    let host = Host::isolated(Choice::ProcessGroup);
    let run = host.script(&format!("{DAEMONS} sleep 75")).await;
    let pid = run.start().await.pid.unwrap();
    let daemon: u32 = run.file("daemon").await.parse().unwrap();
    let shim = shim_of(&run);
    kill_9(shim);
    kill_9(pid);
    until(|| (!lives(shim) && !lives(pid)).then_some(())).await;
    assert!(matches!(run.inspect().await.state, ProcessState::Lost(_)));
    assert!(lives(daemon));
    run.kill().await;
    until(|| (!lives(daemon)).then_some(())).await;
    run.remove().await;
}

#[tokio::test]
async fn only_what_carries_exactly_the_mark_is_ended() {
    let host = Host::isolated(Choice::ProcessGroup);
    let run = host.script("sleep 75").await;
    let other = host.script("sleep 75").await;
    let pid = run.start().await.pid.unwrap();
    let bystander = other.start().await.pid.unwrap();
    let mark = marker(&run);
    assert!(
        fs::read_to_string(format!("/proc/{pid}/environ"))
            .unwrap()
            .contains(&mark)
    );
    let strangers = [
        Stranger::with(&format!("{mark}1")),
        Stranger::with(mark.trim_end_matches(|c| c != '@')),
        Stranger::with(""),
    ];
    let own = Stranger::with(&mark);
    let shim = shim_of(&run);
    kill_9(shim);
    until(|| (!lives(shim)).then_some(())).await;
    run.remove().await;
    assert!(!lives(pid) && !own.lives());
    assert!(strangers.iter().all(Stranger::lives) && lives(bystander));
}

#[tokio::test]
async fn a_program_cannot_be_given_another_mark() {
    let host = Host::new();
    let mut request =
        crate::harness::request(&["sh", "-c", "printenv FLEET_TRY > mark; echo >> mark"]);
    request.env.insert("FLEET_TRY".into(), "mine".into());
    let run = host.prepared(request).await;
    assert_eq!(run.run().await.code, 0);
    assert_eq!(run.file("mark").await, marker(&run));
}

#[tokio::test]
async fn a_start_is_known_though_the_disk_took_no_note_of_it() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host.script("sleep 76").await;
        let first = run.start().await;
        fs::remove_file(run.slot().join("executed")).unwrap();
        let again = tokio::time::timeout(std::time::Duration::from_secs(4), run.start()).await;
        assert_eq!(again.expect("it was waited for"), first);
    }
}
