//! `workload send`: a command on a workload's input and, with `--wait-packet`, the packet that
//! answers it: a full turn.
//!
//! A command has a key, so it can be sent until it is known to have arrived, and arrives once. The
//! number of the newest packet is read before: what comes after it is waited for, also when the
//! host is started again in between.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use fleet_client::{Client, ClientError, Command, Delivered, IdempotencyKey, PacketEntry};

use super::packets::{missing, print};
use crate::app::Context;
use crate::failure::{Exit, Failure};
use crate::input;
use crate::output::Output;
use crate::progress::Progress;
use crate::time;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Its name or id
    #[arg(value_name = "ID")]
    name: String,
    /// What to send, with a line feed added; - (or nothing, in a pipe) sends standard input as it is
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Wait so long for the first packet after it, and print that
    #[arg(long, value_name = "DURATION", value_parser = time::duration, allow_hyphen_values = true)]
    wait_packet: Option<Duration>,
    /// Send it under this key: the same one again gives the workload nothing [default: made up]
    #[arg(long)]
    key: Option<IdempotencyKey>,
}

/// How long to go on while the host or the workload's node cannot be reached.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most a command may have, in bytes, as the host has it: what is larger is not even read.
const MOST_BYTES: u64 = 1024 * 1024;

/// Sends it, and waits for the answer if told to.
pub(crate) async fn run(args: SendArgs, context: &mut Context) -> Result<(), Failure> {
    let command = Command::from(bytes(args.text.as_deref())?);
    let client = context.client()?.insisting(PATIENCE);
    let key = args.key.unwrap_or_else(|| client.new_key());
    let turn = Turn {
        client: &client,
        name: &args.name,
        key: &key,
    };
    match args.wait_packet {
        None => {
            let delivered = turn.send(&command).await?;
            let name = &args.name;
            context.output.answer(&delivered, || {
                format!("delivered to {name}, key {}\n", delivered.key)
            })
        }
        Some(wait) => {
            let newest = client.newest_packet(&args.name).await?;
            turn.send(&command).await?;
            let packet = turn.answer(newest, wait, &mut context.output).await?;
            print(&packet, &mut context.output)
        }
    }
}

fn bytes(text: Option<&str>) -> Result<Vec<u8>, Failure> {
    match text {
        Some(text) if text != "-" => return Ok(format!("{text}\n").into_bytes()),
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("there is nothing to send").help(
                "name a text, as in `workload send web 'go'`, or pipe one in; - reads what is typed",
            ));
        }
        Some(_) | None => {}
    }
    let bytes = input::read(MOST_BYTES)?;
    if bytes.is_empty() {
        return Err(
            Failure::usage("standard input is empty: there is nothing to send")
                .help("see what stands before the pipe"),
        );
    }
    Ok(bytes.to_vec())
}

/// A command on its way, and back.
struct Turn<'a> {
    client: &'a Client,
    name: &'a str,
    key: &'a IdempotencyKey,
}

impl Turn<'_> {
    /// Sends until it has arrived.
    async fn send(&self, command: &Command) -> Result<Delivered, Failure> {
        let _progress = Progress::begin(format!("sending to {}", self.name));
        let sent = self.client.send(self.name, command, self.key).await;
        sent.map_err(|error| undelivered(error, self.key))
    }

    /// The first packet after `newest`. Gaps are told, and waiting goes on.
    async fn answer(
        &self,
        newest: u64,
        wait: Duration,
        output: &mut Output,
    ) -> Result<PacketEntry, Failure> {
        let _progress = Progress::begin(format!("waiting for a packet of {}", self.name));
        let mut follow = self.client.follow_packets(self.name, newest).patient(wait);
        let first = async {
            loop {
                let entry = follow.next().await;
                let entry = entry.map_err(|error| self.unanswered(error))?;
                match &entry.gap {
                    None => return Ok(entry),
                    Some(gap) => output.warning(&missing(gap))?,
                }
            }
        };
        match tokio::time::timeout(wait, first).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.silent(wait, follow.after())),
        }
    }

    /// It was delivered, and nothing came.
    fn silent(&self, wait: Duration, after: u64) -> Failure {
        let Self { name, key, .. } = self;
        let wait = humantime::format_duration(wait);
        let message =
            format!("no packet of {name} came within {wait}; the command was delivered, key {key}");
        Failure::new(Exit::Unavailable, message).help(format!(
            "`fleet-host workload packets {name} --after {after} --follow` shows what still comes"
        ))
    }

    /// It was delivered, and its answer cannot be waited for.
    fn unanswered(&self, error: ClientError) -> Failure {
        let failure = Failure::from(error);
        let message = format!(
            "the command was delivered, key {}; waiting for a packet failed: {}",
            self.key, failure.message
        );
        Failure { message, ..failure }
    }
}

/// Where it is not certain that a command did not arrive, it is to be sent under the same key.
fn undelivered(error: ClientError, key: &IdempotencyKey) -> Failure {
    let was_not_taken =
        matches!(&error, ClientError::Api { error, .. } if error.code == "restarting");
    let may_have_arrived = error.is_away() && !was_not_taken;
    let failure = Failure::from(error);
    if !may_have_arrived {
        return failure;
    }
    failure.help(format!(
        "it may have arrived all the same: send it again with `--key {key}`, and it is given once"
    ))
}

#[cfg(test)]
mod tests {
    use fleet_model::{Error, ErrorKind};

    use super::*;

    fn failed(kind: ErrorKind, status: u16) -> Failure {
        let error = Error::new(kind, "c", "no");
        undelivered(ClientError::Api { status, error }, &"k-1".parse().unwrap())
    }

    #[test]
    fn a_text_is_a_line() {
        assert_eq!(bytes(Some("go")).unwrap(), b"go\n");
        assert_eq!(bytes(Some("")).unwrap(), b"\n");
    }

    #[test]
    fn what_may_have_arrived_is_sent_again_under_its_key() {
        let away = failed(ErrorKind::Unavailable, 503);
        assert_eq!(away.exit, Exit::Unavailable);
        assert!(away.help.unwrap().contains("--key k-1"));
        let refused = failed(ErrorKind::Conflict, 409);
        assert_eq!((refused.exit, refused.help), (Exit::Refused, None));
        let error = Error::unavailable("restarting", "it was not taken");
        let paused = ClientError::Api { status: 503, error };
        let paused = undelivered(paused, &"k-1".parse().unwrap());
        assert_eq!((paused.exit, paused.help), (Exit::Unavailable, None));
    }

    #[test]
    fn after_its_delivery_every_failure_says_that_it_was_delivered() {
        let client = Client::new(fleet_client::ClientOptions::new("http://127.0.0.1:1")).unwrap();
        let turn = Turn {
            client: &client,
            name: "web",
            key: &"k-1".parse().unwrap(),
        };
        let silent = turn.silent(Duration::from_secs(90), 7);
        assert_eq!(silent.exit, Exit::Unavailable);
        assert_eq!(
            silent.message,
            "no packet of web came within 1m 30s; the command was delivered, key k-1"
        );
        assert!(silent.help.unwrap().contains("packets web --after 7"));
        let error = Error::not_found("no-workload", "there is no workload web");
        let gone = turn.unanswered(ClientError::Api { status: 404, error });
        assert_eq!(gone.exit, Exit::NotFound);
        assert!(
            gone.message.contains("delivered, key k-1")
                && gone.message.ends_with("no workload web")
        );
    }
}
