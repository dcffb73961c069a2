//! What a person reads of a conformance run.

use fleet_conformance::{About, CaseReport, Failure, Outcome, Report};

use crate::commands::plugin::ls::short;
use crate::commands::table::{pairs, table};

/// What is tested, and with which rights.
pub(super) fn about(about: &About) -> String {
    let About {
        name,
        version,
        digest,
        ..
    } = about;
    let whence = match &about.grants_file {
        Some(file) => format!("as in {file}"),
        None => format!(
            "what {name}.toml asks for, in a temporary folder; --grants FILE tests it with others"
        ),
    };
    let grants = match about.grants.as_slice() {
        [] => "nothing".to_owned(),
        some => some.join("; "),
    };
    let rows = [
        ("plugin", format!("{name} {version}  ({})", short(digest))),
        ("grants", format!("{grants}\n{whence}")),
    ];
    pairs(rows.map(|(key, value)| (key.to_owned(), value))) + "\n"
}

/// All cases, those that failed once more in full, and the count.
pub(super) fn people(report: &Report) -> String {
    let header = ["CASE", "RESULT", "TIME", "REASON"];
    let mut text = table(
        header,
        report.cases.iter().map(|case| {
            let time = match case.outcome {
                Outcome::Skipped { .. } => String::new(),
                _ => format!("{} ms", case.elapsed_ms),
            };
            let result = case.outcome.word().to_owned();
            [case.case.clone(), result, time, reason(&case.outcome)]
        }),
    );
    for case in &report.cases {
        if let Outcome::Failed(failure) = &case.outcome {
            text.push_str(&in_full(case, failure));
        }
    }
    let Report {
        passed,
        failed,
        skipped,
        elapsed_ms,
        ..
    } = report;
    let (seconds, tenths) = (elapsed_ms / 1_000, elapsed_ms % 1_000 / 100);
    text.push_str(&format!(
        "\n{passed} passed, {failed} failed, {skipped} skipped in {seconds}.{tenths} s\n"
    ));
    text
}

fn reason(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => String::new(),
        Outcome::Skipped { reason } => reason.clone(),
        Outcome::Failed(Failure {
            expected,
            saw,
            step,
            ..
        }) => {
            let step = step
                .map(|step| format!("step {step}: "))
                .unwrap_or_default();
            format!("{step}expected {expected}, saw {saw}")
        }
    }
}

pub(in crate::commands::plugin) fn in_full(case: &CaseReport, failure: &Failure) -> String {
    let step = match failure.step {
        Some(number) => format!("{number}, {}", failure.doing),
        None => failure.doing.clone(),
    };
    let rows = [
        ("must", &case.title),
        ("because", &case.why),
        ("step", &step),
        ("expected", &failure.expected),
        ("saw", &failure.saw),
    ];
    let rows = rows.map(|(key, value)| (format!("  {key}"), value.clone()));
    format!("\n{} failed\n{}", case.case, pairs(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(grants: &[&str], grants_file: Option<&str>) -> About {
        About {
            name: "native".into(),
            version: "0.1.0".into(),
            digest: "0123456789abcdef".into(),
            grants: grants.iter().map(|&grant| grant.to_owned()).collect(),
            grants_file: grants_file.map(str::to_owned),
        }
    }

    #[test]
    fn the_first_lines_say_what_is_tested_with_which_rights() {
        assert_eq!(
            about(&of(&["native: launcher dev (any program)"], None)),
            "plugin: native 0.1.0  (0123456789ab)\n\
             grants: native: launcher dev (any program)\n        \
             what native.toml asks for, in a temporary folder; --grants FILE tests it with others\n\n"
        );
        let text = about(&of(&[], Some("g.toml")));
        assert!(
            text.contains("grants: nothing\n        as in g.toml\n"),
            "{text}"
        );
    }

    #[test]
    fn a_case_that_failed_says_what_was_expected_and_seen() {
        let case = |name: &str, outcome| CaseReport {
            case: name.into(),
            title: "Code 3 is told as code 3".into(),
            why: "A restart policy goes by the code.".into(),
            outcome,
            elapsed_ms: 120,
        };
        let failure = Failure {
            step: Some(3),
            doing: "do = \"await\", is = \"exited\", code = 3".into(),
            expected: "exited with code 3".into(),
            saw: "exited with code 4".into(),
        };
        let reason = "it does not offer `exec`".into();
        let report = Report {
            plugin: of(&[], None),
            cases: vec![
                case("lifecycle", Outcome::Passed),
                case("exit-three", Outcome::Failed(failure)),
                case("exec-once", Outcome::Skipped { reason }),
            ],
            passed: 1,
            failed: 1,
            skipped: 1,
            elapsed_ms: 1_234,
        };
        assert_eq!(
            people(&report),
            "CASE        RESULT   TIME    REASON\n\
             lifecycle   passed   120 ms  -\n\
             exit-three  failed   120 ms  step 3: expected exited with code 3, saw exited with code 4\n\
             exec-once   skipped  -       it does not offer `exec`\n\
             \n\
             exit-three failed\n  \
             must:     Code 3 is told as code 3\n  \
             because:  A restart policy goes by the code.\n  \
             step:     3, do = \"await\", is = \"exited\", code = 3\n  \
             expected: exited with code 3\n  \
             saw:      exited with code 4\n\
             \n\
             1 passed, 1 failed, 1 skipped in 1.2 s\n"
        );
    }
}
