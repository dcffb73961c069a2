//! A WebSocket to the API, on a connection of its own.
//!
//! Until it is answered it is a request like any other: the same token, and what the API refuses is the same
//! problem. The library for what comes then is the one the API's side uses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::client::Client;
use crate::error::ClientError;
use crate::request::Ask;

/// The largest message taken from a host, in bytes: as large as a frame of a session may be.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// What a connection may buffer in each direction, in bytes.
const BUFFER_BYTES: usize = 16 * 1024;

/// An open WebSocket.
pub(crate) type Socket = WebSocketStream<reqwest::Upgraded>;

/// Opens one.
///
/// # Errors
/// As every call.
pub(crate) async fn open(client: &Client, ask: &Ask) -> Result<Socket, ClientError> {
    let key = STANDARD.encode(client.entropy().bits().to_le_bytes());
    let response = client.upgraded(ask, headers(&key)).await?;
    let accepted = response.headers().get("sec-websocket-accept");
    if accepted.is_none_or(|accepted| accepted != derive_accept_key(key.as_bytes()).as_str()) {
        let problem = "the WebSocket was not agreed on".to_owned();
        return Err(client.foreign(ask.path(), problem));
    }
    let upgraded = response
        .upgrade()
        .await
        .map_err(|error| client.network(error))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(MOST_BYTES))
        .max_frame_size(Some(MOST_BYTES));
    Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await)
}

/// What asks for the upgrade (RFC 6455, section 4.1).
fn headers(key: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        HeaderName::from_static("sec-websocket-version"),
        HeaderValue::from_static("13"),
    );
    if let Ok(key) = HeaderValue::from_str(key) {
        headers.insert(HeaderName::from_static("sec-websocket-key"), key);
    }
    headers
}
