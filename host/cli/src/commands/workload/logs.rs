//! `workload logs`: the program's bytes, each stream to its own.

use clap::Args;
use fleet_client::{LogEntry, LogQuery, LogStream};
use fleet_seam::{Clock as _, SystemClock};

use crate::app::Context;
use crate::failure::Failure;
use crate::time::Since;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Its name or id
    #[arg(value_name = "ID")]
    name: String,
    /// Go on with what it prints, until it has ended
    #[arg(long, short)]
    follow: bool,
    /// Only what was printed since: 10m, 2h, or a time like 2026-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = Since::parse, allow_hyphen_values = true)]
    since: Option<Since>,
    /// Only the last so many lines
    #[arg(long, value_name = "LINES", allow_hyphen_values = true)]
    tail: Option<u64>,
    /// Put the time before each line
    #[arg(long)]
    timestamps: bool,
}

/// Prints it: what the program wrote to stdout on stdout, all else on stderr.
pub(crate) async fn run(args: &LogsArgs, context: &mut Context) -> Result<(), Failure> {
    let query = LogQuery {
        follow: args.follow,
        since_ms: args.since.map(|since| since.unix_ms(SystemClock.unix_ms())),
        tail: args.tail,
    };
    let mut log = context.client()?.logs(&args.name, query);
    let mut writer = Writer {
        timestamps: args.timestamps,
        ..Writer::default()
    };
    while let Some(entry) = log.next().await? {
        if context.output.is_json() {
            context.output.json_line(&entry)?;
            continue;
        }
        let bytes = writer.write(&entry);
        match entry.stream {
            LogStream::Stdout => context.output.bytes(&bytes)?,
            LogStream::Stderr | LogStream::Host => context.output.error_bytes(&bytes)?,
        }
    }
    Ok(())
}

/// Puts lines back together as they were.
#[derive(Debug, Default)]
struct Writer {
    timestamps: bool,
    /// Whether stdout and all else are in the middle of a line.
    open: [bool; 2],
}

impl Writer {
    /// The bytes to write for this line, or part of one.
    fn write(&mut self, entry: &LogEntry) -> Vec<u8> {
        let [stdout, other] = &mut self.open;
        let open = if entry.stream == LogStream::Stdout {
            stdout
        } else {
            other
        };
        let mut bytes = Vec::new();
        if !*open && self.timestamps {
            bytes.extend_from_slice(entry.time.as_deref().unwrap_or("-").as_bytes());
            bytes.push(b' ');
        }
        if entry.stream == LogStream::Host {
            bytes.extend_from_slice(b"fleet-host: ");
        }
        bytes.extend(entry.bytes());
        if entry.complete {
            bytes.push(b'\n');
        }
        *open = !entry.complete;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(fields: serde_json::Value) -> LogEntry {
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let mut writer = Writer::default();
        let part = json!({"stream": "stdout", "base64": "AP8=", "complete": false, "cursor": "1"});
        assert_eq!(writer.write(&entry(part)), [0, 255]);
        let rest = json!({"stream": "stdout", "text": "x", "complete": true, "cursor": "2"});
        assert_eq!(writer.write(&entry(rest)), b"x\n");
    }

    #[test]
    fn a_time_stands_before_a_line_and_not_within_one() {
        let mut writer = Writer {
            timestamps: true,
            ..Writer::default()
        };
        let line = |stream: &str, complete: bool| {
            entry(
                json!({"time": "T", "stream": stream, "text": "a", "complete": complete, "cursor": "1"}),
            )
        };
        let text: Vec<u8> = [
            ("stdout", false),
            ("stderr", true),
            ("stdout", true),
            ("host", true),
        ]
        .into_iter()
        .flat_map(|(stream, complete)| writer.write(&line(stream, complete)))
        .collect();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "T aT a\na\nT fleet-host: a\n"
        );
    }
}
