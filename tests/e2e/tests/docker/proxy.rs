//! A socket before an engine's that passes bytes on, and does one thing wrong with one request.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

/// What is done with the next request that begins with some words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is passed on and answered, and the answer is dropped with its connection.
    DropAnswer,
    /// It is not passed on before [`Proxy::release`].
    Hold,
    /// It is answered with this instead: bytes as they are.
    Answer(&'static [u8]),
    /// The same in two parts, the second at [`Proxy::release`].
    Slowly(&'static [u8], &'static [u8]),
}

/// The proxy.
pub(crate) struct Proxy {
    folder: tempfile::TempDir,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    plan: Mutex<Plan>,
    changed: Condvar,
}

impl State {
    /// Until what is held may go on.
    fn wait(&self) {
        let plan = self.plan.lock().unwrap();
        drop(self.changed.wait_while(plan, |plan| plan.is_held).unwrap());
    }
}

#[derive(Default)]
struct Plan {
    next: Option<(&'static str, Fault)>,
    fired: usize,
    is_held: bool,
    blocked: Option<&'static str>,
}

impl Proxy {
    /// One before this socket.
    pub(crate) fn new(engine: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State::default());
        let proxy = Self { folder, state };
        let listener = UnixListener::bind(proxy.socket()).unwrap();
        let (engine, state) = (engine.to_path_buf(), proxy.state.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let (engine, state) = (engine.clone(), state.clone());
                std::thread::spawn(move || serve(&client, &engine, &state));
            }
        });
        proxy
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("proxy.sock")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Does this with the next request whose first line begins so.
    pub(crate) fn plan(&self, line: &'static str, fault: Fault) {
        let mut plan = self.state.plan.lock().unwrap();
        plan.next = Some((line, fault));
        plan.is_held = matches!(fault, Fault::Hold | Fault::Slowly(..));
    }

    /// Ends the connection of each request with this in its first line, until [`Proxy::pass`].
    pub(crate) fn block(&self, part: &'static str) {
        self.state.plan.lock().unwrap().blocked = Some(part);
    }

    /// Lets all requests through.
    pub(crate) fn pass(&self) {
        self.state.plan.lock().unwrap().blocked = None;
    }

    /// Lets a held request go on.
    pub(crate) fn release(&self) {
        self.state.plan.lock().unwrap().is_held = false;
        self.state.changed.notify_all();
    }

    /// How often a fault came about.
    pub(crate) fn fired(&self) -> usize {
        self.state.plan.lock().unwrap().fired
    }
}

/// One connection. A request of the host fits into one read, for nothing else is sent before its answer.
fn serve(client: &UnixStream, engine: &Path, state: &State) {
    let Ok(upstream) = UnixStream::connect(engine) else {
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    let drops = Arc::new(Mutex::new(false));
    let back = {
        let (mut from, mut to) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
        let drops = drops.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if *drops.lock().unwrap() || to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        })
    };
    let (mut from, mut to) = (client, &upstream);
    let mut buffer = vec![0; 1 << 20];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if is_blocked(&buffer[..count], state) {
            break;
        }
        match fault(&buffer[..count], state) {
            Some(Fault::DropAnswer) => *drops.lock().unwrap() = true,
            Some(Fault::Answer(bytes)) => {
                let _ = from.write_all(bytes);
                break;
            }
            Some(Fault::Slowly(begin, end)) => {
                let _ = from.write_all(begin);
                state.wait();
                let _ = from.write_all(end);
                break;
            }
            Some(Fault::Hold) => state.wait(),
            None => {}
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = back.join();
    let _ = client.shutdown(Shutdown::Both);
}

fn is_blocked(bytes: &[u8], state: &State) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default();
    let blocked = state.plan.lock().unwrap().blocked;
    blocked.is_some_and(|part| line.contains(part))
}

/// What is to be done with these bytes of a client.
fn fault(bytes: &[u8], state: &State) -> Option<Fault> {
    let mut plan = state.plan.lock().unwrap();
    let (line, fault) = plan.next?;
    if !bytes.starts_with(line.as_bytes()) {
        return None;
    }
    plan.next = None;
    plan.fired += 1;
    Some(fault)
}
