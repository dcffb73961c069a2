//! Connections to a service: requests made of validated parts, answers taken up to a limit.
//!
//! Connections that are free are used again for reads; a stream has one of its own. Where it listens stays here:
//! no message has the address in it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use fleet_model::{Error, ErrorKind};
use futures::TryStreamExt as _;
use http_body_util::{BodyExt as _, BodyStream, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::io::StreamReader;

/// How many free connections are kept.
const IDLE: usize = 16;

/// Where a service listens.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
    /// A port of this machine's loopback.
    Loopback(SocketAddr),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            let path = Path::new(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path.to_owned()))
            } else {
                Err(format!(
                    "`{text}`: the path of a socket must be absolute: unix:///run/x.sock"
                ))
            };
        }
        let place = text
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'));
        let place = place.map(|place| match place.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => place.to_owned(),
        });
        let place = place.and_then(|place| place.parse::<SocketAddr>().ok());
        match place {
            Some(place) if is_loopback(place.ip()) => Ok(Self::Loopback(place)),
            Some(_) => Err(format!(
                "`{text}` is not on this machine's loopback, and what is said there is not encrypted: use a service of this machine"
            )),
            None => Err(format!(
                "`{text}` is no address: write unix:///run/x.sock or http://127.0.0.1:2375"
            )),
        }
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.is_loopback()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Loopback(place) => write!(f, "http://{place}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A request, ready to be sent.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Bytes>,
}

/// Whether it does no harm to send it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Fine,
    Never,
}

/// An answer that was read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// A stream that was opened.
pub(crate) struct Opened {
    pub(crate) read: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) write: Option<Box<dyn AsyncWrite + Send + Unpin>>,
}

/// What came of opening one.
pub(crate) enum Opening {
    Stream(Opened),
    /// An answer of another status.
    Refused(Answer),
}

type Sender = SendRequest<Full<Bytes>>;

/// The connections to one service.
pub(crate) struct Transport {
    address: Address,
    idle: Mutex<Vec<Sender>>,
}

impl Transport {
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            idle: Mutex::default(),
        }
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// `unavailable` (`no-endpoint`, `cut-short`, `odd-answer`), `denied` (`endpoint-permission`).
    pub(crate) async fn exchange(
        &self,
        message: &Message,
        most: usize,
        again: Again,
    ) -> Result<Answer, Error> {
        let (sender, response) = self.send(message, again).await?;
        let answer = whole(response, most).await?;
        if !sender.is_closed() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE {
                idle.push(sender);
            }
        }
        Ok(answer)
    }

    async fn send(
        &self,
        message: &Message,
        again: Again,
    ) -> Result<(Sender, Response<Incoming>), Error> {
        // The service may close a free connection at any moment; of what must not be sent twice nobody
        // could tell then whether it was heard.
        while again == Again::Fine
            && let Some(mut sender) = self.free()
        {
            if sender.ready().await.is_ok()
                && let Ok(response) = sender.send_request(self.request(message, None)?).await
            {
                return Ok((sender, response));
            }
        }
        let mut sender = self.connect().await?;
        let sent = sender.send_request(self.request(message, None)?).await;
        sent.map(|response| (sender, response))
            .map_err(|error| broken(&error))
    }

    /// Opens a stream, on a connection of its own.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange).
    pub(crate) async fn open(
        &self,
        message: &Message,
        upgrade: Option<&str>,
        most: usize,
    ) -> Result<Opening, Error> {
        let mut sender = self.connect().await?;
        let response = sender.send_request(self.request(message, upgrade)?).await;
        let response = response.map_err(|error| broken(&error))?;
        match (upgrade, response.status()) {
            (Some(_), StatusCode::SWITCHING_PROTOCOLS) => {
                let upgraded = hyper::upgrade::on(response).await;
                let upgraded = upgraded.map_err(|error| broken(&error))?;
                let (read, write) = tokio::io::split(TokioIo::new(upgraded));
                Ok(Opening::Stream(Opened {
                    read: Box::new(read),
                    write: Some(Box::new(write)),
                }))
            }
            (Some(_), status) if status.is_success() => Err(odd(&format!(
                "the service answered {status} where it was to change the protocol"
            ))),
            (None, StatusCode::OK) => Ok(Opening::Stream(Opened {
                read: Box::new(reading(response, sender)),
                write: None,
            })),
            _ => whole(response, most).await.map(Opening::Refused),
        }
    }

    fn free(&self) -> Option<Sender> {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    fn request(
        &self,
        message: &Message,
        upgrade: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let host = match &self.address {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Loopback(place) => place.to_string(),
        };
        let mut request = Request::builder()
            .method(message.method.as_str())
            .uri(message.target.as_str())
            .header(HOST, host);
        for (name, value) in &message.headers {
            request = request.header(name, value);
        }
        if message.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(protocol) = upgrade {
            request = request
                .header(CONNECTION, HeaderValue::from_static("Upgrade"))
                .header(UPGRADE, protocol);
        }
        let body = Full::new(message.body.clone().unwrap_or_default());
        request.body(body).map_err(|error| {
            Error::internal(
                "bad-request",
                format!("a request that was allowed cannot be sent: {error}"),
            )
        })
    }

    async fn connect(&self) -> Result<Sender, Error> {
        match &self.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)
                    .await
                    .map_err(|error| unreachable(&error))?;
                handshake(stream).await
            }
            Address::Loopback(place) => {
                let stream = TcpStream::connect(place)
                    .await
                    .map_err(|error| unreachable(&error))?;
                let _ = stream.set_nodelay(true);
                handshake(stream).await
            }
        }
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Sender, Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    // It ends with the last of sender and body.
    tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// Reads an answer's body as it comes; the connection lives as long.
fn reading(response: Response<Incoming>, sender: Sender) -> impl AsyncRead + Send + Unpin {
    let body = response
        .into_body()
        .map_err(|error| io::Error::new(io::ErrorKind::UnexpectedEof, error));
    let data = BodyStream::new(body).try_filter_map(move |frame| {
        let _held = &sender;
        futures::future::ready(Ok(frame.into_data().ok()))
    });
    StreamReader::new(Box::pin(data))
}

async fn whole(response: Response<Incoming>, most: usize) -> Result<Answer, Error> {
    let (head, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > most {
                return Err(odd(&format!(
                    "the answer is larger than {most} bytes, which `response_bytes` of its rule allows"
                )));
            }
            bytes.extend_from_slice(&data);
        }
    }
    let headers = head.headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    Ok(Answer {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: bytes.freeze(),
    })
}

fn unreachable(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::denied(
            "endpoint-permission",
            "the system does not let the host's user open that socket: add the user to the group it belongs to, or name another address in the grants",
        ),
        io::ErrorKind::NotFound => Error::unavailable(
            "no-endpoint",
            "there is no such socket: start the service, or name its address in the grants",
        ),
        _ => Error::unavailable(
            "no-endpoint",
            format!(
                "nothing answers there ({}): start the service, or name its address in the grants",
                error.kind()
            ),
        ),
    }
}

fn broken(error: &hyper::Error) -> Error {
    if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
        return odd(&format!("it is no HTTP: {error}"));
    }
    Error::unavailable(
        "cut-short",
        format!("the service ended the connection before its answer was whole: {error}"),
    )
}

pub(crate) fn odd(what: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "odd-answer",
        format!("the service's answer cannot be used: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_or_loopback() {
        for (text, want) in [
            ("unix:///run/a.sock", Some("unix:///run/a.sock")),
            ("http://127.0.0.1:80", Some("http://127.0.0.1:80")),
            ("http://localhost:80/", Some("http://127.0.0.1:80")),
            ("http://[::1]:80", Some("http://[::1]:80")),
            ("unix://run/a.sock", None),
            ("http://10.0.0.1:80", None),
            ("http://127.0.0.1", None),
            ("https://127.0.0.1:80", None),
            ("tcp://127.0.0.1:80", None),
            ("http://example.org:80", None),
            ("/run/a.sock", None),
        ] {
            let address = text
                .parse::<Address>()
                .ok()
                .map(|address| address.to_string());
            assert_eq!(address.as_deref(), want, "{text}");
        }
    }
}
