//! `berth`: a runtime nobody ships. Its programs are ships, the programs beside them boats.
//!
//! It is there to show that the host knows no runtime: paths, words, ids and framing of streams are
//! its own. It keeps everything in memory, prints its address as its first line, and takes its
//! programs along when it is ended by TERM or INT.
//!
//! `fleet-test-berth [ADDRESS]`, else any free port of the loopback.

mod api;
mod harbour;
mod hull;
mod journal;
mod problem;
mod signal;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal as on_signal};

use crate::harbour::Harbour;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    #[expect(clippy::print_stdout, reason = "whoever started it reads the address")]
    {
        println!("http://{}", listener.local_addr()?);
    }
    let harbour = Arc::new(Harbour::default());
    let mut term = on_signal(SignalKind::terminate())?;
    let mut int = on_signal(SignalKind::interrupt())?;
    let served = axum::serve(listener, api::router(Arc::clone(&harbour)));
    tokio::select! {
        ended = served => ended?,
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    harbour.sink_all();
    Ok(())
}
