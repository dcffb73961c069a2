//! Reading a TOML file that a person wrote: a mistake is answered with file, line and what was
//! expected.

use serde::de::DeserializeOwned;

/// Reads `text`, which came from the file `name`.
///
/// # Errors
/// One line: `native.toml:7: unknown field …, expected …`.
pub(crate) fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let message = error.message().trim_end().replace('\n', "; ");
        match error.span() {
            Some(span) => at(name, text, span.start, &message),
            None => format!("{name}: {message}"),
        }
    })
}

/// The message with the place in front.
pub(crate) fn at(name: &str, text: &str, offset: usize, message: &str) -> String {
    let line = text
        .bytes()
        .take(offset)
        .filter(|&byte| byte == b'\n')
        .count()
        + 1;
    format!("{name}:{line}: {message}")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[expect(dead_code, reason = "only its name matters")]
        size: u32,
    }

    #[test]
    fn a_mistake_is_answered_with_its_place_and_what_was_expected() {
        let error = parse::<Example>("x.toml", "\n\nsise = 1\n").unwrap_err();
        assert!(
            error.starts_with("x.toml:3: ") && error.contains("`size`"),
            "{error}"
        );
        let error = parse::<Example>("x.toml", "size = \"big\"").unwrap_err();
        assert!(
            error.starts_with("x.toml:1: ") && error.contains("u32"),
            "{error}"
        );
        let error = parse::<Example>("x.toml", "size = 1\nsize = 2").unwrap_err();
        assert!(error.starts_with("x.toml:2: "), "{error}");
        assert!(
            parse::<Example>("x.toml", "size = [")
                .unwrap_err()
                .starts_with("x.toml:1: ")
        );
    }
}
