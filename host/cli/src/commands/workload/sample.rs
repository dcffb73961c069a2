//! `workload sample`: a workload file with every key, to begin with.

use crate::app::Context;
use crate::failure::Failure;

/// The file. What begins with `#` and no space is a key with a value that fits.
const SAMPLE: &str = include_str!("sample.toml");

/// Prints it.
pub(crate) fn run(context: &mut Context) -> Result<(), Failure> {
    context.output.text(SAMPLE)
}

#[cfg(test)]
mod tests {
    use fleet_model::workload::WorkloadSpec;
    use serde_json::Value;

    use super::*;
    use crate::document::{self, Syntax};

    fn spec(text: &str) -> Value {
        let spec: WorkloadSpec = document::parse("sample", text, Syntax::Toml)
            .unwrap_or_else(|failure| panic!("{}", failure.message));
        serde_json::to_value(spec).unwrap()
    }

    fn with_everything() -> String {
        let line = |line: &str| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
            _ => line.to_owned(),
        };
        SAMPLE.lines().map(|text| line(text) + "\n").collect()
    }

    #[test]
    fn it_is_a_workload_as_it_stands() {
        assert_eq!(spec(SAMPLE)["command"][0], "python3");
    }

    #[test]
    fn it_shows_every_key_there_is() {
        let spec = spec(&with_everything());
        // The parser names the keys it knows.
        let known = |table: &str| {
            let text = format!("{table}\nnone-such = 1\n");
            let failure = document::parse::<WorkloadSpec>("f", &text, Syntax::Toml).unwrap_err();
            let help = failure.help.unwrap();
            let (_, known) = help.split_once("known here: ").unwrap();
            known.split(", ").map(str::to_owned).collect::<Vec<_>>()
        };
        for key in known("") {
            assert!(!spec[&key].is_null(), "{key} is missing");
        }
        for key in known("[limits]") {
            assert!(!spec["limits"][&key].is_null(), "{key} is missing");
        }
        let of_files = |key: &str| {
            let files = spec["files"].as_object().unwrap();
            files.values().any(|file| !file[key].is_null())
        };
        assert!(
            ["text", "base64", "secret", "mode"]
                .into_iter()
                .all(of_files)
        );
        assert!(
            spec["env"]
                .as_object()
                .unwrap()
                .values()
                .any(|value| !value["secret"].is_null())
        );
    }
}
