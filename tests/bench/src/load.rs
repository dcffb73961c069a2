//! Many callers at a fixed rate, over connections that are kept.
//!
//! A call is due at its time whether or not the one before it was answered; what it then waits for a
//! connection counts as part of it. So a server that stands still for a moment is not spared the calls
//! of that moment.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;
use crate::statistics::Samples;
use crate::stopwatch::now;

/// Connections that share the calls.
const CONNECTIONS: u32 = 16;

/// What is asked, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Whom.
    pub(crate) address: SocketAddr,
    /// The whole request (RFC 9112), which may be asked twice without harm.
    pub(crate) request: Vec<u8>,
}

/// What callers saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Seconds of each call that was answered with 200.
    pub(crate) took: Vec<f64>,
    /// How many were not.
    pub(crate) failed: u64,
    /// How often a connection was closed before a call on it was answered; the call was then made once
    /// more, on another.
    pub(crate) reconnected: u64,
}

impl Seen {
    /// The 99th percentile, in seconds.
    ///
    /// # Errors
    /// When nothing was answered.
    pub(crate) fn p99(&self) -> Result<f64> {
        let samples = Samples(self.took.clone());
        samples
            .all_but(0.01)
            .ok_or_else(|| "no call was answered".into())
    }
}

/// Calls at this rate, a second, for as long as `window`.
///
/// # Errors
/// When a task is lost.
pub(crate) async fn call(target: &Target, rate: u32, window: Duration) -> Result<Seen> {
    let began = now();
    let mut callers = JoinSet::new();
    for first in 0..CONNECTIONS {
        let target = target.clone();
        callers.spawn(async move {
            let (mut seen, mut connection) = (Seen::default(), None);
            for number in (first..).step_by(CONNECTIONS as usize) {
                let due = Duration::from_secs(1) * number / rate;
                if due >= window {
                    return seen;
                }
                let due = began + due;
                // Late because of the call before: that counts. Woken late by the timer: that does not.
                let from = if now() < due {
                    tokio::time::sleep_until(due.into()).await;
                    now()
                } else {
                    due
                };
                match one(&target, &mut connection, &mut seen.reconnected).await {
                    Some(200) => seen.took.push(from.elapsed().as_secs_f64()),
                    _ => seen.failed += 1,
                }
            }
            seen
        });
    }
    let mut all = Seen::default();
    while let Some(seen) = callers.join_next().await {
        let Seen {
            took,
            failed,
            reconnected,
        } = seen?;
        all.took.extend(took);
        all.failed += failed;
        all.reconnected += reconnected;
    }
    Ok(all)
}

/// One call and its status; nothing where there is no answer.
async fn one(
    target: &Target,
    connection: &mut Option<TcpStream>,
    reconnected: &mut u64,
) -> Option<u16> {
    let kept = connection.take();
    let was_kept = kept.is_some();
    let answered = match kept {
        Some(stream) => ask(stream, target).await,
        None => None,
    };
    let (stream, status) = match answered {
        Some(answered) => answered,
        None => {
            *reconnected += u64::from(was_kept);
            let stream = TcpStream::connect(target.address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            ask(stream, target).await?
        }
    };
    *connection = stream;
    Some(status)
}

/// The status, and the connection if it may be kept.
async fn ask(mut stream: TcpStream, target: &Target) -> Option<(Option<TcpStream>, u16)> {
    stream.write_all(&target.request).await.ok()?;
    let mut answer = Vec::with_capacity(4_096);
    loop {
        if stream.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
        if let Some(Answer { status, is_kept }) = whole(&answer) {
            return Some((is_kept.then_some(stream), status));
        }
    }
}

/// An answer that is here.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Whether another call may follow on this connection.
    is_kept: bool,
}

/// The answer, once all of it has come: by its length, or in chunks (RFC 9112, 6 and 7.1).
fn whole(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = bytes.split_at_checked(end + 4)?;
    let head = String::from_utf8_lossy(head).to_lowercase();
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim)
    };
    let is_here = match field("content-length:") {
        Some(length) => body.len() >= length.parse().ok()?,
        None => body == b"0\r\n\r\n" || body.ends_with(b"\r\n0\r\n\r\n"),
    };
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_kept = field("connection:") != Some("close");
    is_here.then_some(Answer { status, is_kept })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_last_byte_is_there() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ] {
            let bytes = text.as_bytes();
            for cut in 0..bytes.len() {
                assert_eq!(whole(&bytes[..cut]), None, "{text:?} at {cut}");
            }
            let answer = Answer {
                status: 200,
                is_kept: true,
            };
            assert_eq!(whole(bytes), Some(answer), "{text:?}");
        }
        let last = b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let answer = Answer {
            status: 503,
            is_kept: false,
        };
        assert_eq!(whole(last), Some(answer));
    }

    /// A server that answers so many calls on each connection, then closes it.
    async fn server(calls: usize, status: u16) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 1\r\n\r\nx");
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = [0; 1_024];
                    for _ in 0..calls {
                        if stream.read(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        Target {
            address,
            request: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        }
    }

    #[tokio::test]
    async fn calls_come_at_their_rate_and_a_closed_connection_is_made_anew() {
        let target = server(3, 200).await;
        let seen = call(&target, 1_000, Duration::from_millis(160))
            .await
            .unwrap();
        assert_eq!((seen.took.len(), seen.failed), (160, 0), "{seen:?}");
        // Ten calls on each connection, of which the fourth, seventh and tenth find it closed.
        assert_eq!(seen.reconnected, 3 * 16);
        assert!(seen.p99().unwrap() > 0.0);
    }

    #[tokio::test]
    async fn another_answer_is_a_failure() {
        let target = server(usize::MAX, 503).await;
        let seen = call(&target, 1_000, Duration::from_millis(32))
            .await
            .unwrap();
        assert_eq!((seen.took.len(), seen.failed), (0, 32));
        assert!(seen.p99().is_err());
    }
}
