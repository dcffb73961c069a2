//! The floor of an idle host: an HTTP API over a database, and nothing else.

use std::path::PathBuf;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// `fleet-bench-floor-idle ADDRESS DATABASE`
fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(address), Some(database)) = (arguments.next(), arguments.next()) else {
        return Err("usage: fleet-bench-floor-idle ADDRESS DATABASE".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&address.to_string_lossy(), database.into()))
}

async fn serve(address: &str, database: PathBuf) -> Result<(), Failure> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new()
        .max_connections(2)
        .connect_with(options)
        .await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS item (id TEXT PRIMARY KEY, body TEXT NOT NULL)")
        .execute(&pool)
        .await?;
    let router = Router::new().route("/ready", get(ready)).with_state(pool);
    let listener = tokio::net::TcpListener::bind(address).await?;
    Ok(axum::serve(listener, router).await?)
}

async fn ready(State(pool): State<SqlitePool>) -> StatusCode {
    match sqlx::query("SELECT count(*) FROM item")
        .fetch_one(&pool)
        .await
    {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
