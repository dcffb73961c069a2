//! Which cases a pattern means: a part of the name, or with `*` and `?` the whole of it.

use fleet_model::Error;
use regex::Regex;

use crate::case::Case;

/// The cases of this pattern; all without one.
///
/// # Errors
/// `not-found` (`no-case`), which lists the names there are.
pub(crate) fn select(cases: Vec<Case>, pattern: Option<&str>) -> Result<Vec<Case>, Error> {
    let Some(pattern) = pattern else {
        return Ok(cases);
    };
    let is_meant = matcher(pattern);
    let (meant, others): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|case| is_meant(&case.name));
    if meant.is_empty() {
        let names: Vec<&str> = others.iter().map(|case| case.name.as_str()).collect();
        return Err(Error::not_found(
            "no-case",
            format!(
                "there is no case `{pattern}`; use one of these, a part of one, or a pattern with `*`:\n{}",
                names.join("\n")
            ),
        ));
    }
    Ok(meant)
}

fn matcher(pattern: &str) -> Box<dyn Fn(&str) -> bool> {
    let part = pattern.to_owned();
    if !pattern.contains(['*', '?']) {
        return Box::new(move |name| name.contains(&part));
    }
    let expression = regex::escape(pattern)
        .replace("\\*", ".*")
        .replace("\\?", ".");
    match Regex::new(&format!("^{expression}$")) {
        Ok(regex) => Box::new(move |name| regex.is_match(name)),
        Err(_) => Box::new(move |name| name == part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::embedded;

    fn names(pattern: &str) -> Result<Vec<String>, Error> {
        let cases = select(embedded::all().unwrap(), Some(pattern))?;
        Ok(cases.into_iter().map(|case| case.name).collect())
    }

    #[test]
    fn a_pattern_is_a_part_or_the_whole() {
        assert_eq!(names("lifecycle").unwrap(), ["lifecycle"]);
        assert_eq!(
            names("exit-").unwrap(),
            ["exit-zero", "exit-three", "exit-signal"]
        );
        assert_eq!(names("exit-?e*").unwrap(), ["exit-zero"]);
        assert_eq!(names("*-zero").unwrap(), ["exit-zero"]);
        assert_eq!(names("*").unwrap().len(), embedded::all().unwrap().len());
        assert_eq!(select(embedded::all().unwrap(), None).unwrap().len(), 61);
    }

    #[test]
    fn an_unknown_one_is_told_what_there_is() {
        for pattern in ["lyfecycle", "life", "exit*zer"] {
            if pattern == "life" {
                assert!(names(pattern).is_ok());
                continue;
            }
            let error = names(pattern).unwrap_err();
            assert_eq!(error.code, "no-case");
            assert!(error.message.contains("\nlifecycle\n"), "{error}");
        }
    }
}
