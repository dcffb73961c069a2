//! `workload logs`: the program's bytes, each stream to its own.
//!
//! What has come is written in as few writes as its order allows: a log is as fast as what reads it.

use clap::Args;
use fleet_client::{LogEntry, LogFollow, LogQuery, LogStream};
use fleet_seam::{Clock as _, SystemClock};

use crate::app::Context;
use crate::failure::Failure;
use crate::output::Output;
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
    #[arg(
        long,
        value_name = "LINES",
        value_parser = lines,
        conflicts_with = "cursor",
        allow_hyphen_values = true
    )]
    tail: Option<u64>,
    /// Only what was printed after the line that had this cursor
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// At the end, also by Ctrl-C, say on stderr where a later `--cursor` goes on
    #[arg(long)]
    show_cursor: bool,
    /// Put the time before each line
    #[arg(long)]
    timestamps: bool,
}

fn lines(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected a number of lines, as 100".to_owned())
}

/// Prints it: what the program wrote to stdout on stdout, all else on stderr.
pub(crate) async fn run(args: &LogsArgs, context: &mut Context) -> Result<(), Failure> {
    let query = LogQuery {
        follow: args.follow,
        since_ms: args.since.map(|since| since.unix_ms(SystemClock.unix_ms())),
        tail: args.tail,
        cursor: args.cursor.clone(),
    };
    let mut log = context.client()?.logs(&args.name, query);
    let form = match (context.output.is_json(), args.timestamps) {
        (true, _) => Form::Json,
        (false, true) => Form::Timed,
        (false, false) => Form::Plain,
    };
    let printed = tokio::select! {
        printed = print(&mut log, form, &mut context.output) => printed,
        interrupted = tokio::signal::ctrl_c(), if args.show_cursor => Ok(interrupted?),
    };
    if let Some(cursor) = log
        .cursor()
        .filter(|cursor| !cursor.is_empty() && args.show_cursor)
    {
        let line = format!("cursor: {cursor}\n");
        context.output.error_bytes(line.as_bytes())?;
    }
    printed
}

/// Prints lines as they come. What it was given is written before it waits for more.
async fn print(log: &mut LogFollow, form: Form, output: &mut Output) -> Result<(), Failure> {
    let mut writer = Writer::new(form);
    while let Some(entry) = log.next().await? {
        writer.add(&entry, output)?;
        while let Some(entry) = log.ready() {
            writer.add(&entry, output)?;
        }
        writer.flush(output)?;
    }
    Ok(())
}

/// How lines are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As they were written.
    Plain,
    /// Each with its time before it.
    Timed,
    /// As the API's objects.
    Json,
}

/// Where a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Out,
    Err,
}

/// Bytes gathered before they are written.
const GATHER_BYTES: usize = 64 * 1024;

/// Puts lines back together as they were.
#[derive(Debug)]
struct Writer {
    form: Form,
    /// Whether stdout and all else are in the middle of a line.
    open: [bool; 2],
    /// What is not written yet, all for one side.
    gathered: Vec<u8>,
    side: Side,
}

impl Writer {
    fn new(form: Form) -> Self {
        Self {
            form,
            open: [false; 2],
            gathered: Vec::new(),
            side: Side::Out,
        }
    }

    /// Takes a line, or a part of one.
    fn add(&mut self, entry: &LogEntry, output: &mut Output) -> Result<(), Failure> {
        let side = match (self.form, entry.stream) {
            (Form::Json, _) | (_, LogStream::Stdout) => Side::Out,
            (_, LogStream::Stderr | LogStream::Host) => Side::Err,
        };
        if side != self.side || self.gathered.len() >= GATHER_BYTES {
            self.flush(output)?;
            self.side = side;
        }
        if self.form == Form::Json {
            serde_json::to_writer(&mut self.gathered, entry).map_err(std::io::Error::from)?;
            self.gathered.push(b'\n');
        } else {
            self.put(entry);
        }
        Ok(())
    }

    /// Writes what was taken.
    fn flush(&mut self, output: &mut Output) -> Result<(), Failure> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        match self.side {
            Side::Out => output.bytes(&self.gathered)?,
            Side::Err => output.error_bytes(&self.gathered)?,
        }
        self.gathered.clear();
        Ok(())
    }

    fn put(&mut self, entry: &LogEntry) {
        let [stdout, other] = &mut self.open;
        let open = match self.side {
            Side::Out => stdout,
            Side::Err => other,
        };
        if !*open && self.form == Form::Timed {
            let time = entry.time();
            let text = time.as_deref().unwrap_or("-");
            self.gathered.extend_from_slice(text.as_bytes());
            self.gathered.push(b' ');
        }
        if entry.stream == LogStream::Host {
            self.gathered.extend_from_slice(b"fleet-host: ");
        }
        self.gathered.extend_from_slice(&entry.bytes);
        if entry.complete {
            self.gathered.push(b'\n');
        }
        *open = !entry.complete;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Kept;
    use crate::output::Format;

    fn entry(stream: LogStream, bytes: &'static [u8], complete: bool) -> LogEntry {
        LogEntry {
            time_us: Some(1_767_225_600_000_000),
            stream,
            bytes: bytes.into(),
            complete,
            cursor: "1".to_owned(),
        }
    }

    fn printed(form: Form, entries: &[LogEntry]) -> (Vec<u8>, Vec<u8>) {
        let (out, err) = (Kept::default(), Kept::default());
        let mut output = Output::to(Format::Table, out.clone(), err.clone());
        let mut writer = Writer::new(form);
        for entry in entries {
            writer.add(entry, &mut output).unwrap();
        }
        writer.flush(&mut output).unwrap();
        (out.bytes(), err.bytes())
    }

    #[test]
    fn bytes_come_out_as_they_went_in() {
        use LogStream::{Host, Stderr, Stdout};
        let (out, err) = printed(
            Form::Plain,
            &[
                entry(Stdout, b"\0\xff", false),
                entry(Stderr, b"oh", true),
                entry(Stdout, b"x", true),
                entry(Host, b"a gap", true),
            ],
        );
        assert_eq!(out, b"\0\xffx\n");
        assert_eq!(err, b"oh\nfleet-host: a gap\n");
    }

    #[test]
    fn a_time_stands_before_a_line_and_not_within_one() {
        use LogStream::{Stderr, Stdout};
        let (out, err) = printed(
            Form::Timed,
            &[
                entry(Stdout, b"a", false),
                entry(Stderr, b"b", true),
                entry(Stdout, b"c", true),
            ],
        );
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert_eq!(text(out), "2026-01-01T00:00:00Z ac\n");
        assert_eq!(text(err), "2026-01-01T00:00:00Z b\n");
    }

    #[test]
    fn programs_get_every_line_on_stdout() {
        use LogStream::{Host, Stderr};
        let (out, err) = printed(
            Form::Json,
            &[entry(Stderr, b"\xff", false), entry(Host, b"gap", true)],
        );
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains(r#""base64":"/w==""#) && text.contains(r#""stream":"host""#));
        assert!(err.is_empty());
    }
}
