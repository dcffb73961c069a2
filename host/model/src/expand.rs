//! `$(PORT_HTTP)` in commands and environment values.
//!
//! `$(NAME)` becomes the variable's value, `$$(` a literal `$(`; a name nobody defines is refused,
//! so that a typing error is an answer and not an empty argument.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;

/// Replaces every `$(NAME)` in `text` with its value in `variables`.
///
/// # Errors
/// `invalid` (`unknown-variable`, `unclosed-variable`) naming what can be used.
pub fn expand(text: &str, variables: &BTreeMap<String, String>) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        let (before, from) = rest.split_at(at);
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("$(");
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        out.push_str(before);
        let body = from.get(2..).unwrap_or_default();
        let Some((name, after)) = body.split_once(')') else {
            return Err(Error::invalid(
                "unclosed-variable",
                format!(
                    "`{text}` has `$(` without `)`: close it, or write `$$(` for a literal `$(`"
                ),
            ));
        };
        let Some(value) = variables.get(name) else {
            return Err(unknown(name, variables));
        };
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn unknown(name: &str, variables: &BTreeMap<String, String>) -> Error {
    let known: BTreeSet<_> = variables.keys().map(String::as_str).collect();
    let known = if known.is_empty() {
        "this workload has no named port; add one with --port NAME or in [ports]".to_owned()
    } else {
        format!(
            "known here: {}",
            known.into_iter().collect::<Vec<_>>().join(", ")
        )
    };
    Error::invalid(
        "unknown-variable",
        format!("`$({name})` stands for nothing ({known}); write `$$(` for a literal `$(`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> BTreeMap<String, String> {
        [("PORT_HTTP".to_owned(), "8080".to_owned())].into()
    }

    #[test]
    fn variables_are_replaced_and_literals_kept() {
        for (text, want) in [
            ("", ""),
            ("plain $ text", "plain $ text"),
            ("$(PORT_HTTP)", "8080"),
            ("a:$(PORT_HTTP)/$(PORT_HTTP)", "a:8080/8080"),
            ("$$(PORT_HTTP)", "$(PORT_HTTP)"),
            ("$$(x $(PORT_HTTP)", "$(x 8080"),
            ("$HOME", "$HOME"),
        ] {
            assert_eq!(expand(text, &vars()).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn unknown_names_and_open_brackets_are_refused_with_what_is_known() {
        let error = expand("$(PORT_WEB)", &vars()).unwrap_err();
        assert_eq!(error.code, "unknown-variable");
        assert!(error.message.contains("PORT_HTTP"), "{error}");
        assert_eq!(
            expand("$(PORT", &vars()).unwrap_err().code,
            "unclosed-variable"
        );
        assert!(
            expand("$(X)", &BTreeMap::new())
                .unwrap_err()
                .message
                .contains("--port")
        );
    }
}
