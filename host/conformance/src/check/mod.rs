//! What is compared with what: pure.

pub(crate) mod exec;
pub(crate) mod lines;
pub(crate) mod pages;
pub(crate) mod states;

use fleet_model::{Error, ErrorKind};

use crate::case::step::Kinds;

/// What should have come, and what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmet {
    pub(crate) expected: String,
    pub(crate) saw: String,
}

/// How a step ends.
pub(crate) type Met<T = ()> = Result<T, Unmet>;

/// The longest message of an error that is repeated, in characters.
const MAX_MESSAGE: usize = 300;

/// An expectation that was not met.
pub(crate) fn unmet<T>(expected: impl Into<String>, saw: impl Into<String>) -> Met<T> {
    Err(Unmet {
        expected: expected.into(),
        saw: saw.into(),
    })
}

/// An error in one line.
pub(crate) fn shown(error: &Error) -> String {
    let message = error.message.lines().next().unwrap_or_default();
    let message: String = message.chars().take(MAX_MESSAGE).collect();
    format!("the error {} ({}): {message}", word(error.kind), error.code)
}

/// An answer; an error is none.
pub(crate) fn answered<T>(answer: Result<T, Error>) -> Met<T> {
    answer.or_else(|error| unmet("an answer", shown(&error)))
}

/// A refusal of one of these kinds; without any, an answer.
pub(crate) fn refused<T>(answer: Result<T, Error>, kinds: Option<&Kinds>) -> Met<Option<T>> {
    let Some(Kinds(kinds)) = kinds else {
        return answered(answer).map(Some);
    };
    let wanted = || {
        let words: Vec<String> = kinds.iter().map(|kind| word(*kind)).collect();
        format!("the error {}", words.join(" or "))
    };
    match answer {
        Err(error) if kinds.contains(&error.kind) => Ok(None),
        Err(error) => unmet(wanted(), shown(&error)),
        Ok(_) => unmet(wanted(), "an answer"),
    }
}

fn word(kind: ErrorKind) -> String {
    let word = serde_json::to_value(kind).ok();
    let word = word.and_then(|word| word.as_str().map(str::to_owned));
    word.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_must_be_of_its_kind() {
        let kinds = Kinds(vec![ErrorKind::Conflict, ErrorKind::NotFound]);
        let conflict = || Err::<(), _>(Error::conflict("c", "no\nmore"));
        assert_eq!(refused(conflict(), Some(&kinds)), Ok(None));
        assert_eq!(refused(Ok(7), None), Ok(Some(7)));
        for (answer, kinds, expected, saw) in [
            (
                Ok(()),
                Some(&kinds),
                "the error conflict or not-found",
                "an answer",
            ),
            (
                Err(Error::invalid("c", "m")),
                Some(&kinds),
                "the error conflict or not-found",
                "the error invalid (c): m",
            ),
            (conflict(), None, "an answer", "the error conflict (c): no"),
        ] {
            assert_eq!(refused(answer, kinds).map(|_| ()), unmet(expected, saw));
        }
    }
}
