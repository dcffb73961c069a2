//! `workload port-forward`: a port of a workload on this machine.
//!
//! Each connection that is accepted here gets a connection of its own to the workload's port, many at
//! once. While the host is away new connections wait for it; those that were open are broken off. It goes on
//! until Ctrl-C.

mod mapping;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use fleet_client::{Client, Cut};
use fleet_model::workload::Workload;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::app::Context;
use crate::failure::{Exit, Failure, reason};
use mapping::Mapping;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct PortForwardArgs {
    /// Its name or id
    #[arg(value_name = "ID")]
    name: String,
    /// The local port and the workload's, by name or number: 8080:http, :http for a free local port, 8080
    #[arg(value_name = "LOCAL:PORT", required = true)]
    mappings: Vec<Mapping>,
    /// Listen on this address instead
    #[arg(long, value_name = "IP", default_value_t = Ipv4Addr::LOCALHOST.into(), hide_default_value = true)]
    address: IpAddr,
}

/// How long to wait after a connection could not be accepted: for lack of files, mostly.
const PAUSE: Duration = Duration::from_millis(200);

/// What is forwarded, as it is told when it is ready.
#[derive(Debug, Serialize)]
struct Forward {
    local: SocketAddr,
    workload: String,
    port: String,
}

/// Forwards until Ctrl-C.
pub(crate) async fn run(args: &PortForwardArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    // From here on Ctrl-C is the way to end it.
    let listen =
        |kind| signal(kind).map_err(|error| Failure::io("cannot listen for signals", &error));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let workload = client.workload(&args.name).await?;
    for mapping in &args.mappings {
        declared(mapping, &workload)?;
    }
    if !args.address.is_loopback() {
        let warning = format!(
            "{} can be reached from other machines: whoever does reaches the workload, without a token",
            args.address
        );
        context.output.warning(&warning)?;
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut forwards = JoinSet::new();
    let mut ready = Vec::new();
    for mapping in &args.mappings {
        let listener = bind(SocketAddr::new(args.address, mapping.local), &mapping.port).await?;
        let local = listener
            .local_addr()
            .map_err(|error| Failure::io("cannot listen", &error))?;
        ready.push(Forward {
            local,
            workload: args.name.clone(),
            port: mapping.port.clone(),
        });
        let way = Way {
            client: client.clone(),
            workload: args.name.clone(),
            port: mapping.port.clone(),
            tell: tell.clone(),
        };
        forwards.spawn(forward(listener, way));
    }
    for forward in &ready {
        match context.output.is_json() {
            true => context.output.json_line(forward)?,
            false => context.output.text(&format!(
                "{} -> {} {}\n",
                forward.local, forward.workload, forward.port
            ))?,
        }
    }
    loop {
        tokio::select! {
            // What failed before the end is told before it.
            biased;
            Some(failure) = told.recv() => context.output.warning(&failure)?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
    }
}

fn declared(mapping: &Mapping, workload: &Workload) -> Result<(), Failure> {
    if mapping.is_declared(workload) {
        return Ok(());
    }
    let names: Vec<&str> = workload
        .spec
        .ports
        .keys()
        .map(|name| name.as_str())
        .collect();
    let there_are = match names.as_slice() {
        [] => "it has none".to_owned(),
        names => format!("it has {}", names.join(", ")),
    };
    Err(Failure::new(
        Exit::NotFound,
        format!("{} declares no port `{}`: {there_are}", workload.name, mapping.port),
    )
    .help("a port is declared when a workload is made, as in `workload run --port http` or `--port web=8080`"))
}

async fn bind(address: SocketAddr, port: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => Failure::new(
                Exit::Refused,
                format!("{address} is in use by another program"),
            )
            .help(format!(
                "name another local port, or none, as in `:{port}`, for a free one"
            )),
            _ => Failure::new(
                Exit::Refused,
                format!("cannot listen on {address}: {}", reason(&error)),
            )
            .help(format!(
                "name another local port, or none, as in `:{port}`, for a free one"
            )),
        })
}

/// The way from a local port to a workload's.
#[derive(Clone)]
struct Way {
    client: Client,
    workload: String,
    port: String,
    /// Where failures are told.
    tell: mpsc::UnboundedSender<String>,
}

/// Takes connections for ever.
async fn forward(listener: TcpListener, way: Way) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((local, _)) => drop(connections.spawn(carry(local, way.clone()))),
            Err(error) => {
                way.failed(&format!("could not be accepted: {}", reason(&error)));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn carry(mut local: TcpStream, way: Way) {
    // Small answers should not wait for more to come.
    let _ = local.set_nodelay(true);
    let failure = match way.client.connect_port(&way.workload, &way.port).await {
        Err(error) => error.to_string(),
        Ok(connection) => match connection.carry(&mut local).await {
            // Whoever connected here and went away: its own affair.
            Ok(()) | Err(Cut::Local(_)) => return,
            Err(Cut::Remote(why)) => why,
        },
    };
    way.failed(&format!("failed: {failure}"));
    // What broke off must not look like an end.
    let _ = local.set_zero_linger();
}

impl Way {
    fn failed(&self, how: &str) {
        let Self { workload, port, .. } = self;
        // Whoever would tell it is ending.
        let _ = self.tell.send(format!(
            "a connection to the port {port} of {workload} {how}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_local_port_in_use_is_refused_with_the_way_out() {
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = held.local_addr().unwrap();
        let failure = bind(address, "http").await.unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert!(
            failure.message.contains(&address.to_string()),
            "{failure:?}"
        );
        assert!(failure.help.unwrap().contains("`:http`"));
    }
}
