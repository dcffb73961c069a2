//! Server-sent events (WHATWG HTML, section 9.2), as far as the API uses them.

/// One event as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Message {
    /// The id in force, for `Last-Event-ID`.
    pub(crate) id: Option<String>,
    /// The event's name; `message` where the server gives none.
    pub(crate) event: Option<String>,
    /// Its data.
    pub(crate) data: String,
}

/// Assembles events from lines.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    id: Option<String>,
    event: Option<String>,
    data: Option<String>,
}

impl Parser {
    /// Takes one line; an empty one ends an event.
    pub(crate) fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let event = self.event.take();
            let data = self.data.take()?;
            return Some(Message {
                id: self.id.clone(),
                event,
                data,
            });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "event" => self.event = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // A comment (the empty field), `retry`, or what a later server adds.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<Message> {
        let mut parser = Parser::default();
        text.lines().filter_map(|line| parser.line(line)).collect()
    }

    #[test]
    fn events_are_assembled_and_comments_ignored() {
        let messages =
            parse(": hello\n\nid: 7\nevent: x\ndata: {\"a\":\ndata:1}\n\ndata:2\n\n: ping\n\n");
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0].data, "{\"a\":\n1}");
        assert_eq!(
            (messages[0].id.as_deref(), messages[0].event.as_deref()),
            (Some("7"), Some("x"))
        );
        assert_eq!(
            (messages[1].id.as_deref(), messages[1].event.as_deref()),
            (Some("7"), None)
        );
    }

    #[test]
    fn an_event_cut_off_is_none() {
        assert_eq!(parse("id: 8\ndata: 1\n"), []);
    }
}
