//! A service on a Unix socket that notes what it hears and answers as it is told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What is answered.
pub(crate) enum Reply {
    /// A whole answer.
    Json(u16, String),
    /// These bytes, and the connection ends.
    Bytes(Vec<u8>),
    /// Nothing, and the connection ends.
    Close,
    /// Nothing, ever.
    Hang,
    /// These bytes now; then what the function does with the connection.
    Then(
        Vec<u8>,
        Box<dyn FnOnce(UnixStream) -> JoinHandle<()> + Send>,
    ),
}

type Answers = dyn Fn(&Heard) -> Reply + Send + Sync;

/// The service, until it is dropped.
pub(crate) struct Server {
    pub(crate) heard: Arc<Mutex<Vec<Heard>>>,
    pub(crate) connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn at(
        path: &Path,
        answers: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        let (heard, connections) = (Arc::default(), Arc::default());
        let task = tokio::spawn(serve(
            listener,
            Arc::new(answers),
            Arc::clone(&heard),
            Arc::clone(&connections),
        ));
        Self {
            heard,
            connections,
            task,
        }
    }

    /// What was heard so far, as `METHOD TARGET`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let line = |heard: &Heard| format!("{} {}", heard.method, heard.target);
        heard.iter().map(line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: UnixListener,
    answers: Arc<Answers>,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<Mutex<usize>>,
) {
    let mut tasks = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        *connections.lock().unwrap() += 1;
        tasks.spawn(connection(stream, answers.clone(), heard.clone()));
    }
}

async fn connection(mut stream: UnixStream, answers: Arc<Answers>, heard: Arc<Mutex<Vec<Heard>>>) {
    while let Some(request) = request(&mut stream).await {
        heard.lock().unwrap().push(request.clone());
        match answers(&request) {
            Reply::Json(status, body) => {
                if stream.write_all(&json(status, &body)).await.is_err() {
                    return;
                }
            }
            Reply::Bytes(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::Close => return,
            Reply::Hang => std::future::pending().await,
            Reply::Then(bytes, then) => {
                stream.write_all(&bytes).await.unwrap();
                let _ = then(stream).await;
                return;
            }
        }
    }
}

pub(crate) fn json(status: u16, body: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nApi-Version: 7\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

async fn request(stream: &mut UnixStream) -> Option<Heard> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let first: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Heard {
        method: first[0].to_owned(),
        target: first[1].to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}
