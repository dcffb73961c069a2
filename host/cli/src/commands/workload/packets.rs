//! `workload packets`: what a workload emitted, one JSON document a line.

use clap::Args;
use fleet_client::PacketEntry;
use fleet_model::packet::Gap;

use crate::app::Context;
use crate::failure::Failure;
use crate::output::Output;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct PacketsArgs {
    /// Its name or id
    #[arg(value_name = "ID")]
    name: String,
    /// Go on with what it emits next
    #[arg(long, short)]
    follow: bool,
    /// Only packets after this number
    #[arg(
        long,
        value_name = "SEQ",
        default_value_t = 0,
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    after: u64,
}

/// How many packets one request asks for: each may have 64 KiB.
const PAGE: u32 = 100;

/// Prints them.
pub(crate) async fn run(args: &PacketsArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    if args.follow {
        let mut follow = client.follow_packets(&args.name, args.after);
        loop {
            print(&follow.next().await?, &mut context.output)?;
        }
    }
    let mut after = args.after;
    loop {
        let page = client.packets_page(&args.name, after, PAGE).await?;
        for entry in &page.items {
            print(entry, &mut context.output)?;
        }
        match page.next.and_then(|next| next.parse().ok()) {
            Some(next) if next > after => after = next,
            _ => return Ok(()),
        }
    }
}

/// A packet as its workload wrote it, and a gap as a warning; for programs, both as the API has them.
pub(super) fn print(entry: &PacketEntry, output: &mut Output) -> Result<(), Failure> {
    match (&entry.packet, &entry.gap) {
        _ if output.is_json() => output.json_line(entry),
        (Some(packet), _) => output.json_line(packet),
        (None, Some(gap)) => output.warning(&missing(gap)),
        (None, None) => Ok(()),
    }
}

/// A gap, for people.
pub(super) fn missing(gap: &Gap) -> String {
    let Gap { from, to, count } = gap;
    let what = match count {
        1 => format!("packet {from} is"),
        _ => format!("{count} packets, {from} to {to}, are"),
    };
    format!("{what} missing: given up for want of room")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Kept;
    use crate::output::Format;

    fn printed(format: Format) -> (String, String) {
        let (out, err) = (Kept::default(), Kept::default());
        let mut output = Output::to(format, out.clone(), err.clone());
        for entry in [
            r#"{"seq":7,"at_ms":1,"packet":{"b":1.0,"a":[true,null]}}"#,
            r#"{"seq":9,"at_ms":2,"gap":{"from":8,"to":9,"count":2}}"#,
            r#"{"seq":10,"at_ms":3,"gap":{"from":10,"to":10,"count":1}}"#,
        ] {
            print(&serde_json::from_str(entry).unwrap(), &mut output).unwrap();
        }
        (out.text(), err.text())
    }

    #[test]
    fn packets_go_to_stdout_and_gaps_are_warnings() {
        let (out, err) = printed(Format::Table);
        assert_eq!(out, "{\"b\":1.0,\"a\":[true,null]}\n");
        assert_eq!(
            err,
            "warning: 2 packets, 8 to 9, are missing: given up for want of room\n\
             warning: packet 10 is missing: given up for want of room\n"
        );
    }

    #[test]
    fn programs_get_every_entry() {
        let (out, err) = printed(Format::Json);
        assert_eq!(out.lines().count(), 3);
        assert!(
            out.starts_with("{\"seq\":7,\"at_ms\":1,\"packet\":{"),
            "{out}"
        );
        assert!(
            out.contains("\"gap\":{\"from\":8,\"to\":9,\"count\":2}"),
            "{out}"
        );
        assert_eq!(err, "");
    }
}
