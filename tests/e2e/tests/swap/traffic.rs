//! Clients that call all the time, count what they are answered, and know what must have happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fleet_client::{Client, Command, IdempotencyKey};
use fleet_model::exec::{ExecSpec, ExecState};
use fleet_model::workload::{WorkloadSpec, WorkloadState};
use serde_json::json;
use tokio::task::JoinSet;

/// What a caller does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Gives one of these workloads a line, which it notes.
    Send,
    /// Begins a program beside one of these containers, which notes a line, and waits for its end.
    Exec,
    /// Runs a workload that notes a line and ends, and removes it.
    Run,
}

/// Callers at work.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    callers: JoinSet<Tally>,
}

/// What callers saw.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests that were sent.
    pub(crate) calls: u64,
    /// Requests that were answered as they should be.
    pub(crate) answers: u64,
    /// All other answers.
    pub(crate) failures: Vec<String>,
    /// The lines that must have been noted, each once, by workload. What is run notes in a file of its
    /// own, by path.
    pub(crate) effects: BTreeMap<String, Vec<String>>,
}

impl Tally {
    /// Counts a call, and hands its answer on.
    async fn count<T>(
        &mut self,
        what: &str,
        call: impl Future<Output = Result<T, fleet_client::ClientError>>,
    ) -> Option<T> {
        self.calls += 1;
        match call.await {
            Ok(answer) => {
                self.answers += 1;
                Some(answer)
            }
            Err(error) => {
                self.failures.push(format!("{what}: {error}"));
                None
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.answers += other.answers;
        self.failures.extend(other.failures);
        for (name, lines) in other.effects {
            self.effects.entry(name).or_default().extend(lines);
        }
    }

    /// Each call was answered, and as it should be.
    #[track_caller]
    pub(crate) fn assert_answered(&self) {
        let shown: Vec<_> = self.failures.iter().take(5).collect();
        assert_eq!(
            (self.answers, self.failures.len()),
            (self.calls, 0),
            "{shown:#?}"
        );
    }
}

impl Traffic {
    /// Begins. What is run notes below `out`.
    pub(crate) fn begin(
        client: &Client,
        callers: &[(Habit, Vec<String>)],
        out: &std::path::Path,
    ) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut set = JoinSet::new();
        for (number, (habit, names)) in callers.iter().cloned().enumerate() {
            let caller = Caller {
                client: client.clone(),
                number,
                names,
                out: out.to_owned(),
                tally: Tally::default(),
            };
            let (stop, done) = (stop.clone(), Arc::clone(&done));
            set.spawn(caller.work(habit, stop, done));
        }
        Self {
            stop,
            done,
            callers: set,
        }
    }

    /// Waits until so many more rounds are done.
    pub(crate) async fn more(&self, rounds: u64) {
        let from = self.done.load(Ordering::Relaxed);
        let enough = async {
            while self.done.load(Ordering::Relaxed) < from + rounds {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), enough)
            .await
            .expect("callers make no progress");
    }

    /// Ends, and tells what was seen.
    pub(crate) async fn end(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        while let Some(one) = self.callers.join_next().await {
            tally.add(one.unwrap());
        }
        tally
    }
}

struct Caller {
    client: Client,
    number: usize,
    names: Vec<String>,
    out: std::path::PathBuf,
    tally: Tally,
}

impl Caller {
    async fn work(mut self, habit: Habit, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Tally {
        let mut round = 0;
        while !stop.load(Ordering::Relaxed) {
            let name = self
                .names
                .get(round % self.names.len().max(1))
                .cloned()
                .unwrap_or_default();
            let line = format!("{}-{round}", self.number);
            match habit {
                Habit::Send => self.send(&name, line).await,
                Habit::Exec => self.exec(&name, line).await,
                Habit::Run => self.run(line).await,
            }
            round += 1;
            done.fetch_add(1, Ordering::Relaxed);
        }
        self.tally
    }

    async fn send(&mut self, name: &str, line: String) {
        let key: IdempotencyKey = line.parse().unwrap();
        let command = Command::Text(format!("{line}\n"));
        let call = self.client.send(name, &command, &key);
        if self.tally.count("send", call).await.is_some() {
            let noted = self.tally.effects.entry(name.to_owned()).or_default();
            noted.push(line);
        }
    }

    async fn exec(&mut self, name: &str, line: String) {
        let key: IdempotencyKey = line.parse().unwrap();
        let command = json!({"command": ["sh", "-c", format!("echo {line} >> /workspace/seen")]});
        let spec: ExecSpec = serde_json::from_value(command).unwrap();
        let call = self.client.exec(name, &spec, &key);
        let Some(begun) = self.tally.count("exec", call).await else {
            return;
        };
        let noted = self.tally.effects.entry(name.to_owned()).or_default();
        noted.push(line);
        loop {
            let call = self.client.exec_show(begun.id);
            match self.tally.count("exec show", call).await {
                Some(exec) if exec.state == ExecState::Running => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => break,
            }
        }
        let call = self.client.exec_remove(begun.id);
        self.tally.count("exec rm", call).await;
    }

    async fn run(&mut self, line: String) {
        let file = self.out.join(&line);
        let shown = file.display().to_string();
        let script = format!("echo {line} >> {shown}");
        let spec: WorkloadSpec = serde_json::from_value(
            json!({"name": format!("r{line}"), "command": ["sh", "-c", script]}),
        )
        .unwrap();
        let call = self.client.create(&spec);
        let Some(made) = self.tally.count("create", call).await else {
            return;
        };
        let is_over = |seen: &fleet_model::workload::Workload| {
            matches!(
                seen.state,
                WorkloadState::Exited | WorkloadState::Failed | WorkloadState::Lost
            )
        };
        let call = self.client.wait_for(made.id, made.generation, is_over);
        if let Some(ended) = self.tally.count("wait", call).await {
            if ended.state == WorkloadState::Exited && ended.exit_code == Some(0) {
                self.tally.effects.insert(shown, vec![line]);
            } else {
                let told = format!("{} is {:?}: {:?}", ended.name, ended.state, ended.error);
                self.tally.failures.push(told);
            }
        }
        let id = made.id.to_string();
        let call = self.client.remove(&id, Some(Duration::ZERO));
        self.tally.count("remove", call).await;
        let call = self.client.wait_gone(made.id, |_| ());
        self.tally.count("gone", call).await;
    }
}
