//! A backend as a process of its own behind gRPC over a Unix socket, and the process that calls it
//! and times the calls: `fleet-bench-grpc`, which `cargo xtask bench` builds.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use fleet_model::Op;
use fleet_model::driver::{Handle, Workload};
use serde_json::{Value, json};

use crate::Result;
use crate::benchmarks::Bench;
use crate::process::Owned;
use crate::stopwatch::wait_for;

/// Its name in tables.
pub(crate) const NAME: &str = "gRPC over a Unix socket";
/// The same where each side has one thread.
pub(crate) const ONE_THREAD: &str = "gRPC over a Unix socket, one thread on each side";

/// How many threads each side has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Threads {
    /// As many as a host: its calls come from whichever is free.
    Many,
    /// One, which spares each message a hop or two, and is no way to write a host.
    One,
}

/// A server, and a client that is connected to it.
pub(crate) struct GrpcDriver {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    window: Duration,
    _client: Owned,
    _server: Owned,
}

impl GrpcDriver {
    /// Starts both.
    pub(crate) fn start(bench: &Bench, program: &Path, threads: Threads) -> Result<Self> {
        let threads = match threads {
            Threads::Many => "many",
            Threads::One => "one",
        };
        let socket = bench.scratch(&format!("grpc-{threads}"))?.join("socket");
        let role = |role: &str| {
            let mut command = Command::new(program);
            command.arg(role).arg(&socket).arg(threads);
            command
        };
        let server = Owned::spawn(role("serve").stdin(Stdio::null()))?;
        let listens = || Ok(socket.exists().then_some(()));
        wait_for(
            "the gRPC server",
            Duration::from_secs(10),
            Duration::from_millis(5),
            listens,
        )?;
        let mut client = Owned::spawn(role("drive").stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let pipes = client
            .child()
            .stdin
            .take()
            .zip(client.child().stdout.take());
        let (orders, answers) = pipes.ok_or("the gRPC client has no pipes")?;
        Ok(Self {
            orders,
            answers: BufReader::new(answers),
            window: bench.window(),
            _client: client,
            _server: server,
        })
    }

    /// Seconds of one look at a runtime.
    pub(crate) fn inspect(&mut self, handle: &Handle) -> Result<f64> {
        let opaque = std::str::from_utf8(&handle.opaque)?;
        self.order(json!({ "call": "inspect", "schema": handle.schema, "opaque": opaque }))
    }

    /// Seconds of making one.
    pub(crate) fn create(&mut self, op: &Op, workload: &Workload) -> Result<f64> {
        self.order(json!({
            "call": "create", "op": op.to_string(), "item": op.item.to_string(), "id": workload.id.to_string(),
            "name": workload.name, "node": workload.node.to_string(), "config": workload.config.to_string(),
        }))
    }

    fn order(&mut self, mut order: Value) -> Result<f64> {
        if let Some(fields) = order.as_object_mut() {
            let window_ms = u64::try_from(self.window.as_millis())?;
            fields.insert("window_ms".to_owned(), window_ms.into());
        }
        writeln!(self.orders, "{order}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer
            .trim()
            .parse()
            .map_err(|_| "the gRPC client has ended; what it said stands above".into())
    }
}
