//! Words for what the tests do with programs beside a process.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fleet_capability::{ExecRequest, Frame, Open, Processes, Source, Stdin, Stream, exec_key};
use fleet_model::driver::Exit;
use fleet_model::exec::{ExecState, TerminalSize};
use fleet_model::{Error, Op, Verb};
use futures::StreamExt;

use crate::harness::{DEADLINE, Host, Run, any, any_op, caller, op, until, within};

/// One program of a test.
#[derive(Clone)]
pub(crate) struct Beside<'a> {
    pub(crate) host: &'a Host,
    pub(crate) process: String,
    pub(crate) name: String,
    pub(crate) slot: PathBuf,
}

/// What was read of one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Where gaps end.
    pub(crate) gaps: Vec<u64>,
    /// The place after all of it.
    pub(crate) offset: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, frame: &Frame) {
        let offset = offset(frame);
        match frame.stream {
            Stream::Stdout => self.stdout.extend_from_slice(&frame.bytes),
            Stream::Stderr => self.stderr.extend_from_slice(&frame.bytes),
            Stream::Event => self.gaps.push(offset),
        }
        if frame.stream != Stream::Event {
            assert_eq!(offset, self.offset + frame.bytes.len() as u64);
        }
        self.offset = offset;
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

pub(crate) fn offset(frame: &Frame) -> u64 {
    frame.cursor.as_deref().unwrap().parse().unwrap()
}

pub(crate) fn script(script: &str) -> ExecRequest {
    words(&["sh", "-c", script])
}

pub(crate) fn words(command: &[&str]) -> ExecRequest {
    ExecRequest {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::new(),
        terminal: None,
        stdin: Stdin::Pipe,
    }
}

pub(crate) fn on_terminal(text: &str) -> ExecRequest {
    ExecRequest {
        terminal: Some(TerminalSize {
            columns: 90,
            rows: 30,
        }),
        ..script(text)
    }
}

pub(crate) fn exec_op(run: &Run<'_>, call: &str) -> Op {
    Op {
        call: call.to_owned(),
        ..op(&run.request, Verb::Exec)
    }
}

impl<'a> Run<'a> {
    pub(crate) async fn try_exec(
        &self,
        call: &str,
        request: ExecRequest,
    ) -> Result<Beside<'a>, Error> {
        let processes = &self.host.processes;
        let op = exec_op(self, call);
        let name = within(processes.exec(&caller(), &any(), &op, &self.reference, request)).await?;
        let key = format!("{:016x}", exec_key(call));
        assert_eq!(name, format!("{}/{key}", self.reference));
        Ok(Beside {
            host: self.host,
            process: self.reference.clone(),
            name,
            slot: self.slot().join("execs").join(key),
        })
    }

    pub(crate) async fn exec(&self, call: &str, request: ExecRequest) -> Beside<'a> {
        self.try_exec(call, request).await.unwrap()
    }
}

impl<'a> Beside<'a> {
    /// The same, through this host.
    pub(crate) fn through<'b>(&self, host: &'b Host) -> Beside<'b> {
        Beside {
            host,
            process: self.process.clone(),
            name: self.name.clone(),
            slot: self.slot.clone(),
        }
    }

    pub(crate) async fn try_attach(&self, after: u64) -> Result<Source, Error> {
        let what = Open::Exec {
            exec: self.name.clone(),
            after,
        };
        within(self.host.processes.open(&caller(), &self.process, what)).await
    }

    pub(crate) async fn attach(&self, after: u64) -> Source {
        self.try_attach(after).await.unwrap()
    }

    /// All of its output from after an offset, to its end.
    pub(crate) async fn output(&self, after: u64) -> Seen {
        let mut seen = Seen {
            offset: after,
            ..Seen::default()
        };
        let mut source = self.attach(after).await;
        within(async {
            while let Some(frame) = source.output.next().await {
                seen.add(&frame.unwrap());
                source
                    .input
                    .as_mut()
                    .unwrap()
                    .seen(seen.offset)
                    .await
                    .unwrap();
            }
        })
        .await;
        seen
    }

    pub(crate) async fn state(&self) -> Result<ExecState, Error> {
        self.host
            .processes
            .inspect_exec(&caller(), &self.name)
            .await
    }

    /// Waits for its end.
    pub(crate) async fn exit(&self) -> Exit {
        within(async {
            loop {
                match self.state().await.unwrap() {
                    ExecState::Exited { exit, .. } => return exit,
                    ExecState::Lost { reason } => panic!("lost: {reason}"),
                    ExecState::Running => {
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    }
                }
            }
        })
        .await
    }

    pub(crate) async fn signal(&self, call: &str, name: &str) -> Result<(), Error> {
        let op = Op {
            call: call.to_owned(),
            ..any_op()
        };
        let processes = &self.host.processes;
        within(processes.signal_exec(&caller(), &op, &self.name, name)).await
    }

    pub(crate) async fn resize(&self, columns: u16, rows: u16) -> Result<(), Error> {
        let size = TerminalSize { columns, rows };
        let processes = &self.host.processes;
        within(processes.resize_exec(&caller(), &self.name, size)).await
    }

    pub(crate) async fn remove(&self) {
        let processes = &self.host.processes;
        within(processes.remove_exec(&caller(), &any_op(), &self.name))
            .await
            .unwrap();
    }

    /// The numbers of its shim and of its program.
    pub(crate) fn pids(&self) -> (u32, u32) {
        let claim = std::fs::read(self.slot.join("claim")).unwrap();
        let claim: serde_json::Value = serde_json::from_slice(&claim).unwrap();
        let pid = |of: &str| claim[of]["pid"].as_u64().unwrap().try_into().unwrap();
        (pid("shim"), pid("program"))
    }

    /// Reads on until this was said.
    pub(crate) async fn reads(&self, source: &mut Source, seen: &mut Seen, wanted: &str) {
        let read = async {
            while !seen.text().contains(wanted) {
                let frame = source.output.next().await;
                seen.add(&frame.expect("it ended").unwrap());
            }
        };
        let read = tokio::time::timeout(DEADLINE, read).await;
        assert!(read.is_ok(), "no {wanted:?} in {:?}", seen.text());
    }
}

/// Waits until a number stands still, and gives it.
pub(crate) async fn stands_still(mut look: impl FnMut() -> u64) -> u64 {
    let mut last = (u64::MAX, 0);
    until(|| {
        let now = look();
        last = if now == last.0 {
            (now, last.1 + 1)
        } else {
            (now, 0)
        };
        (last.1 > 100 && now > 0).then_some(now)
    })
    .await
}
