//! Reading what a person wrote, as TOML or JSON: a mistake is answered with file, line, column, what
//! was expected, and for an unknown key which one was meant.

use serde::de::DeserializeOwned;

use crate::failure::Failure;
use crate::suggest::nearest;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

impl Syntax {
    /// By the file's name, else by its first character: no TOML document begins with a brace.
    pub(crate) fn of(file: &str, text: &str) -> Self {
        if file.ends_with(".json") || text.trim_start().starts_with('{') {
            Self::Json
        } else {
            Self::Toml
        }
    }
}

/// Reads `text`, which came from `file`.
pub(crate) fn parse<T: DeserializeOwned>(
    file: &str,
    text: &str,
    syntax: Syntax,
) -> Result<T, Failure> {
    match syntax {
        Syntax::Toml => toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| position(text, span.start));
            mistake(file, place, error.message())
        }),
        Syntax::Json => serde_json::from_str(text).map_err(|error| {
            let message = error.to_string();
            let end = format!(" at line {} column {}", error.line(), error.column());
            let place = (error.line() > 0).then(|| (error.line(), error.column().max(1)));
            mistake(file, place, message.strip_suffix(&end).unwrap_or(&message))
        }),
    }
}

/// Line and column of an offset, counted from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

fn mistake(file: &str, place: Option<(usize, usize)>, message: &str) -> Failure {
    let place = match place {
        Some((line, column)) => format!("{file}:{line}:{column}"),
        None => file.to_owned(),
    };
    let message = message.trim_end().replace('\n', "; ");
    match unknown(&message) {
        None => Failure::usage(format!("{place}: {message}")),
        Some(Unknown { what, word, known }) => {
            let failure = Failure::usage(format!("{place}: unknown {what} `{word}`"));
            let all = format!("known here: {}", known.join(", "));
            match nearest(word, known.iter().copied()) {
                Some(meant) => failure.help(format!("did you mean `{meant}`? {all}")),
                None if known.is_empty() => failure.help(format!("no {what} is known here")),
                None => failure.help(all),
            }
        }
    }
}

/// A word that is none of those that are known.
struct Unknown<'a> {
    what: &'static str,
    word: &'a str,
    known: Vec<&'a str>,
}

/// The unknown word and the known ones, out of serde's words for it.
fn unknown(message: &str) -> Option<Unknown<'_>> {
    let (what, rest) = [("key", "unknown field `"), ("value", "unknown variant `")]
        .into_iter()
        .find_map(|(what, start)| Some((what, message.strip_prefix(start)?)))?;
    let (word, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some(Unknown { what, word, known })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet_model::workload::WorkloadSpec;

    fn mistake(file: &str, text: &str) -> (String, String) {
        let failure = parse::<WorkloadSpec>(file, text, Syntax::of(file, text)).unwrap_err();
        assert_eq!(failure.exit, crate::failure::Exit::Usage);
        (failure.message, failure.help.unwrap_or_default())
    }

    #[test]
    fn an_unknown_key_is_placed_and_the_meant_one_named() {
        let (message, help) = mistake("w.toml", "name = \"web\"\n  comand = [\"a\"]\n");
        assert_eq!(message, "w.toml:2:3: unknown key `comand`");
        assert!(
            help.starts_with("did you mean `command`? known here: name, backend, "),
            "{help}"
        );
        let (message, help) = mistake("w.json", "{\"name\": \"web\",\n \"image\": 1}");
        assert!(
            message.starts_with("w.json:2:") && message.ends_with("unknown key `image`"),
            "{message}"
        );
        assert!(help.starts_with("known here: "), "{help}");
    }

    #[test]
    fn an_unknown_key_is_placed_wherever_it_stands() {
        for (text, place, meant) in [
            (
                "restrat = \"always\"\n",
                "w.toml:1:1: unknown key `restrat`",
                "`restart`",
            ),
            ("tll = \"1h\"\n", "w.toml:1:1: unknown key `tll`", "`ttl`"),
            (
                "restart = \"allways\"\n",
                "w.toml:1:11: unknown value `allways`",
                "`always`",
            ),
            (
                "[limits]\nmemroy = \"1GiB\"\n",
                "w.toml:2:1: unknown key `memroy`",
                "`memory`",
            ),
            (
                "[env]\nA = { secert = \"a\" }\n",
                "w.toml:2:7: unknown key `secert`",
                "`secret`",
            ),
            (
                "[files]\n\"a\" = { txt = \"a\" }\n",
                "w.toml:2:9: unknown key `txt`",
                "`text`",
            ),
            (
                "[file]\n\"a\" = \"b\"\n",
                "w.toml:1:2: unknown key `file`",
                "`files`",
            ),
        ] {
            let (message, help) = mistake("w.toml", text);
            assert_eq!(message, place, "{text}");
            assert!(
                help.contains(&format!("did you mean {meant}?")),
                "{text}: {help}"
            );
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_placed_and_says_what_would() {
        for (text, place, want) in [
            ("ttl = 90\n", "w.toml:1:7: ", "\"90s\""),
            ("ttl = \"90\"\n", "w.toml:1:7: ", "`1h 30m`"),
            ("[limits]\nmemory = 64\n", "w.toml:2:10: ", "\"64MiB\""),
            ("[limits]\nmemory = \"64\"\n", "w.toml:2:10: ", "`64MiB`"),
            ("[limits]\ncpu = \"2\"\n", "w.toml:2:7: ", "expected f64"),
            ("[limits]\ncpu = 0\n", "w.toml:2:7: ", "`0.5`"),
            ("[limits]\nprocesses = -1\n", "w.toml:2:13: ", "u32"),
            ("[env]\nA = 1\n", "w.toml:2:5: ", "{ secret = \"NAME\" }"),
            (
                "[env]\nA = { secret = \"A B\" }\n",
                "w.toml:2:",
                "is not a name",
            ),
            ("[files]\na = 1\n", "w.toml:2:5: ", "`base64`"),
            (
                "[files]\na = { text = \"\", secret = \"s\" }\n",
                "w.toml:2:5: ",
                "exactly one of",
            ),
            (
                "[files]\na = { text = \"\", mode = \"999\" }\n",
                "w.toml:2:",
                "octal",
            ),
        ] {
            let (message, _) = mistake("w.toml", text);
            assert!(
                message.starts_with(place) && message.contains(want),
                "{text}: {message}"
            );
        }
    }

    #[test]
    fn other_mistakes_say_where_and_what_was_expected() {
        for (file, text, place, expected) in [
            (
                "w.toml",
                "name = \"web\"\ncommand = \"ls\"\n",
                "w.toml:2:11: ",
                "expected a sequence",
            ),
            ("w.toml", "name = web\n", "w.toml:1:8: ", "string"),
            ("w.toml", "name = \"Web\"\n", "w.toml:1:", "is not a name"),
            ("w.toml", "[ports]\nhttp = 70000\n", "w.toml:2:8: ", "u16"),
            ("-", "{\"command\": 3}", "-:1:", "expected a sequence"),
            ("-", "{\"command\": [", "-:1:13: ", "EOF"),
        ] {
            let (message, _) = mistake(file, text);
            assert!(
                message.starts_with(place) && message.contains(expected),
                "{message}"
            );
        }
    }
}
