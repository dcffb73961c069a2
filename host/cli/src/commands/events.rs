//! `events`: what happened, and with `--follow` what happens.

use clap::Args;
use fleet_client::{EventQuery, Followed, Page};
use fleet_model::event::Event;

use crate::app::Context;
use crate::failure::Failure;
use crate::time::stamp;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Go on with what happens next
    #[arg(long)]
    follow: bool,
    /// Only events after this number
    #[arg(
        long,
        value_name = "SEQ",
        default_value_t = 0,
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    after: u64,
}

/// Prints them.
pub(crate) async fn run(args: &EventsArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    let mut query = EventQuery {
        after: Some(args.after),
        ..EventQuery::default()
    };
    if args.follow {
        let mut follow = client.follow_events(query);
        loop {
            if let Followed::Event(event) = follow.next().await? {
                match context.output.is_json() {
                    true => context.output.json_line(&event)?,
                    false => context.output.text(&line(&event))?,
                }
            }
        }
    }
    let mut all = Vec::new();
    loop {
        let Page { items, next } = client.events_page(&query).await?;
        if !context.output.is_json() {
            context
                .output
                .text(&items.iter().map(line).collect::<String>())?;
        } else {
            all.extend(items);
        }
        match next.and_then(|next| next.parse().ok()) {
            Some(after) if Some(after) > query.after => query.after = Some(after),
            _ => break,
        }
    }
    if context.output.is_json() {
        return context.output.answer(&Page::complete(all), String::new);
    }
    Ok(())
}

/// One event, for people.
fn line(event: &Event) -> String {
    let about = event.name.as_deref().unwrap_or(&event.subject);
    format!(
        "{}  {:6}  {:20}  {about}  {}\n",
        stamp(event.at_ms),
        event.seq,
        event.kind,
        event.message
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = serde_json::from_value(serde_json::json!({
            "seq": 7, "at_ms": 1_700_000_000_000_u64, "type": "workload.running", "subject": "wl_1", "name": "web",
            "message": "runs",
        }));
        assert_eq!(
            line(&event.unwrap()),
            "2023-11-14T22:13:20Z       7  workload.running      web  runs\n"
        );
    }
}
