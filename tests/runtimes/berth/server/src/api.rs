//! Its paths.
//!
//! | | |
//! |---|---|
//! | `GET /r2/about` | what it is |
//! | `PUT /r2/ships/NAME` | lays one on |
//! | `GET /r2/ships?mark=KEY=VALUE` | those with a mark |
//! | `GET`, `DELETE /r2/ships/ID` | looks at one; takes it away |
//! | `POST /r2/ships/ID/sail`, `/hail` | begins it; sends `{"flag": SIGNAL}` |
//! | `GET /r2/ships/ID/journal` | its output, framed (`journal.rs`); `first`, `last`, `since`, `follow` |
//! | `GET /r2/ships/ID/bell` | a line of JSON at each change |
//! | `POST /r2/ships/ID/boats` | a program beside it |
//! | `GET /r2/boats/ID`, `POST .../hail`, `.../screen` | looks at it; sends a signal; another size for its terminal |
//! | `POST /r2/boats/ID/row` | begins it: the connection becomes its input and framed output |

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::stream;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadHalf};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::harbour::{BoatPlan, Harbour, Plan};
use crate::hull::{Begun, Hull, Phase, Screen};
use crate::journal::{HEADER, Side, frame, length};
use crate::problem::Problem;
use crate::signal;

type Shared = State<Arc<Harbour>>;

/// The word a connection changes to.
const ROWING: &str = "berth-oars";

/// The longest piece to stdin.
const LONGEST: usize = 1 << 20;

/// What ends the input of a program on a terminal: Ctrl-D.
const END_OF_INPUT: u8 = 0x04;

pub(crate) fn router(harbour: Arc<Harbour>) -> axum::Router {
    axum::Router::new()
        .route("/r2/about", get(about))
        .route("/r2/ships", get(ships))
        // A new one by its name, an old one by its id.
        .route("/r2/ships/{id}", get(ship).put(moor).delete(break_up))
        .route("/r2/ships/{id}/sail", post(sail))
        .route("/r2/ships/{id}/hail", post(hail))
        .route("/r2/ships/{id}/journal", get(journal))
        .route("/r2/ships/{id}/bell", get(bell))
        .route("/r2/ships/{id}/boats", post(lower))
        .route("/r2/boats/{id}", get(boat))
        .route("/r2/boats/{id}/hail", post(hail_boat))
        .route("/r2/boats/{id}/screen", post(resize))
        .route("/r2/boats/{id}/row", post(row))
        .with_state(harbour)
}

async fn about(State(harbour): Shared) -> Json<Value> {
    let ships = harbour.ships(None).len();
    Json(json!({ "what": "berth", "revision": 2, "ships": ships }))
}

#[derive(Deserialize)]
struct Marked {
    mark: Option<String>,
}

async fn ships(State(harbour): Shared, Query(query): Query<Marked>) -> Response {
    Json(json!({ "ships": harbour.ships(query.mark.as_deref()) })).into_response()
}

async fn moor(
    State(harbour): Shared,
    Path(name): Path<String>,
    Json(plan): Json<Plan>,
) -> Result<Response, Problem> {
    let told = harbour.moor(&name, plan)?;
    Ok((StatusCode::CREATED, Json(told)).into_response())
}

async fn ship(State(harbour): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(Json(harbour.ship(&id)?.told()).into_response())
}

async fn break_up(State(harbour): Shared, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    harbour.break_up(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sail(State(harbour): Shared, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    harbour.ship(&id)?.sail()?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Flag {
    flag: String,
}

async fn hail(
    State(harbour): Shared,
    Path(id): Path<String>,
    Json(order): Json<Flag>,
) -> Result<StatusCode, Problem> {
    signalled(&harbour.ship(&id)?.hull, &order)
}

async fn hail_boat(
    State(harbour): Shared,
    Path(id): Path<String>,
    Json(order): Json<Flag>,
) -> Result<StatusCode, Problem> {
    signalled(&harbour.boat(&id)?.hull, &order)
}

fn signalled(hull: &Hull, order: &Flag) -> Result<StatusCode, Problem> {
    let unknown = || {
        let text = format!("no flag {}", order.flag);
        Problem::new(StatusCode::BAD_REQUEST, text)
    };
    if hull.hail(signal::named(&order.flag).ok_or_else(unknown)?) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(StatusCode::CONFLICT, "it does not sail"))
}

#[derive(Deserialize)]
struct Part {
    /// Skips so many lines.
    first: Option<usize>,
    /// Only so many of the last.
    last: Option<usize>,
    /// Only those of this time and later.
    since: Option<String>,
    /// `yes`: goes on as more is written.
    follow: Option<String>,
}

async fn journal(
    State(harbour): Shared,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Result<Response, Problem> {
    let journal = Arc::clone(&harbour.ship(&id)?.journal);
    let last = part.last.map(|count| journal.before_last(count));
    let first = part.first.unwrap_or(0).max(last.unwrap_or(0));
    let since = part.since.as_deref().map(str::parse::<Timestamp>);
    let since = since
        .transpose()
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let follows = part.follow.as_deref() == Some("yes");
    // What is there goes out before the wait for more.
    let pieces = stream::unfold(Some((first, false)), move |turn| {
        let journal = Arc::clone(&journal);
        async move {
            let (next, waits) = turn?;
            if waits && !journal.more_than(next).await {
                return None;
            }
            let (read, bytes) = journal.from(next, since);
            let rest = follows.then_some((read.max(next), true));
            Some((Ok::<_, std::io::Error>(bytes), rest))
        }
    });
    Ok(Body::from_stream(pieces).into_response())
}

/// A line at once and one at each change.
async fn bell(State(harbour): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let watch = harbour.ship(&id)?.hull.watch();
    let lines = stream::unfold((watch, false), |(mut watch, rung)| async move {
        if rung {
            watch.changed().await.ok()?;
        }
        let phase = watch.borrow_and_update().clone();
        let line = format!("{}\n", json!({ "rings": phase }));
        Some((Ok::<_, std::io::Error>(line), (watch, true)))
    });
    Ok(Body::from_stream(lines).into_response())
}

async fn lower(
    State(harbour): Shared,
    Path(id): Path<String>,
    Json(plan): Json<BoatPlan>,
) -> Result<Response, Problem> {
    let told = harbour.lower(&id, plan)?;
    Ok((StatusCode::CREATED, Json(told)).into_response())
}

async fn boat(State(harbour): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(Json(harbour.boat(&id)?.told()).into_response())
}

async fn resize(
    State(harbour): Shared,
    Path(id): Path<String>,
    Json(size): Json<Screen>,
) -> Result<StatusCode, Problem> {
    if harbour.boat(&id)?.hull.resize(size) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(StatusCode::CONFLICT, "it has no screen"))
}

async fn row(
    State(harbour): Shared,
    Path(id): Path<String>,
    mut request: Request,
) -> Result<Response, Problem> {
    let asked = request.headers().get(header::UPGRADE);
    if asked.is_none_or(|word| word != ROWING) {
        let text = format!("rowing needs `Upgrade: {ROWING}`");
        return Err(Problem::new(StatusCode::UPGRADE_REQUIRED, text));
    }
    let hull = Arc::clone(&harbour.boat(&id)?.hull);
    if hull.phase() != Phase::Moored {
        return Err(Problem::new(StatusCode::CONFLICT, "it has left before"));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            rowed(&hull, TokioIo::new(upgraded)).await;
        }
    });
    let headers = [(header::UPGRADE, ROWING), (header::CONNECTION, "upgrade")];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

/// Runs a boat on a connection.
async fn rowed(hull: &Arc<Hull>, connection: TokioIo<hyper::upgrade::Upgraded>) {
    let (incoming, mut outgoing) = tokio::io::split(connection);
    let Ok(Some(Begun { mut child, screen })) = hull.begin() else {
        let _ = outgoing.shutdown().await;
        return;
    };
    let (mut pieces, given) = match screen {
        Some(screen) => on_screen(screen, incoming),
        None => on_pipes(&mut child, incoming),
    };
    while let Some(piece) = pieces.recv().await {
        if outgoing.write_all(&piece).await.is_err() {
            break;
        }
        let _ = outgoing.flush().await;
    }
    // A reader that went away does not end the program; nobody reads it on, as in other runtimes.
    while pieces.recv().await.is_some() {}
    hull.ended(child.wait().await.ok());
    given.abort();
    let _ = outgoing.shutdown().await;
}

type Incoming = ReadHalf<TokioIo<hyper::upgrade::Upgraded>>;

fn on_pipes(child: &mut Child, mut incoming: Incoming) -> (mpsc::Receiver<Bytes>, JoinHandle<()>) {
    let input = child.stdin.take();
    let given = tokio::spawn(async move {
        if let Some(mut input) = input {
            while let Some(piece) = piece(&mut incoming).await {
                if input.write_all(&piece).await.is_err() {
                    return;
                }
            }
        }
    });
    (pieces(child), given)
}

/// A terminal blocks, so each way has a thread of its own for as long as it is there.
fn on_screen(screen: File, mut incoming: Incoming) -> (mpsc::Receiver<Bytes>, JoinHandle<()>) {
    let (pieces, read) = mpsc::channel(16);
    let shown = screen.try_clone();
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; 8 * 1024];
        let Ok(mut shown) = shown else { return };
        while let Ok(count) = shown.read(&mut buffer) {
            let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
                return;
            };
            if pieces.blocking_send(frame(Side::Out, read)).is_err() {
                return;
            }
        }
    });
    let given = tokio::spawn(async move {
        let mut screen = tokio::fs::File::from_std(screen);
        while let Some(piece) = piece(&mut incoming).await {
            let written = screen.write_all(&piece).await;
            if written.is_err() || screen.flush().await.is_err() {
                return;
            }
        }
        let _ = screen.write_all(&[END_OF_INPUT]).await;
        let _ = screen.flush().await;
    });
    (read, given)
}

/// The next piece to stdin; `None` at its end.
async fn piece(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header).await.ok()?;
    let length = length(header).filter(|length| (1..=LONGEST).contains(length))?;
    let mut piece = vec![0; length];
    from.read_exact(&mut piece).await.ok()?;
    Some(piece)
}

/// What it writes, framed.
fn pieces(child: &mut Child) -> mpsc::Receiver<Bytes> {
    let (pieces, read) = mpsc::channel(16);
    if let Some(out) = child.stdout.take() {
        tokio::spawn(read_all(Side::Out, out, pieces.clone()));
    }
    if let Some(err) = child.stderr.take() {
        tokio::spawn(read_all(Side::Err, err, pieces));
    }
    read
}

async fn read_all(side: Side, mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Bytes>) {
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            return;
        };
        if to.send(frame(side, read)).await.is_err() {
            return;
        }
    }
}
