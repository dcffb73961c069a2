//! What the kit found.

use serde::Serialize;

/// What is tested, and with which rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// The backend's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of the component.
    pub digest: String,
    /// What it is granted: `native: launcher dev (any program)`.
    pub grants: Vec<String>,
    /// Where the grants stand; absent where they are what the manifest asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants_file: Option<String>,
}

/// What became of all cases that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was tested.
    pub plugin: About,
    /// The cases, in their order.
    pub cases: Vec<CaseReport>,
    /// How many did what they must.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// How many were not tried.
    pub skipped: usize,
    /// How long all of it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// Its name.
    pub case: String,
    /// What must hold.
    pub title: String,
    /// Why it must.
    pub why: String,
    /// Whether it does.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// Whether what must hold does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Outcome {
    /// It does.
    Passed,
    /// It does not.
    Failed(Failure),
    /// Nobody asked.
    Skipped {
        /// Why not.
        reason: String,
    },
}

/// What was expected and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The number of the step, from 1; absent for what is looked at after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The step, as it is written in the case.
    pub doing: String,
    /// What should have come.
    pub expected: String,
    /// What came.
    pub saw: String,
}

impl Outcome {
    /// In one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Why, in one line; nothing where all is well.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Passed => None,
            Self::Failed(failure) => Some(failure.to_string()),
            Self::Skipped { reason } => Some(reason.clone()),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            doing,
            expected,
            saw,
            ..
        } = self;
        match self.step {
            Some(step) => write!(f, "step {step} ({doing})")?,
            None => f.write_str(doing)?,
        }
        write!(f, ": expected {expected}, saw {saw}")
    }
}

impl Report {
    /// Counts what became of the cases.
    pub(crate) fn new(plugin: About, cases: Vec<CaseReport>, elapsed_ms: u64) -> Self {
        let count = |word: &str| {
            let same = |case: &&CaseReport| case.outcome.word() == word;
            cases.iter().filter(same).count()
        };
        Self {
            passed: count("passed"),
            failed: count("failed"),
            skipped: count("skipped"),
            plugin,
            cases,
            elapsed_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_counts_and_is_flat_json() {
        let case = |name: &str, outcome| CaseReport {
            case: name.to_owned(),
            title: "t".to_owned(),
            why: "w".to_owned(),
            outcome,
            elapsed_ms: 5,
        };
        let failure = Failure {
            step: Some(2),
            doing: "do = \"start\"".to_owned(),
            expected: "an answer".to_owned(),
            saw: "none".to_owned(),
        };
        let about = About {
            name: "n".to_owned(),
            version: "1".to_owned(),
            digest: "d".to_owned(),
            grants: vec!["n: log".to_owned()],
            grants_file: None,
        };
        let reason = "it does not offer `exec`".to_owned();
        let report = Report::new(
            about,
            vec![
                case("a", Outcome::Passed),
                case("b", Outcome::Failed(failure.clone())),
                case("c", Outcome::Skipped { reason }),
            ],
            9,
        );
        assert_eq!((report.passed, report.failed, report.skipped), (1, 1, 1));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            json["cases"][1],
            json!({"case": "b", "title": "t", "why": "w", "result": "failed", "step": 2, "doing": "do = \"start\"",
                "expected": "an answer", "saw": "none", "elapsed_ms": 5})
        );
        assert_eq!(json["cases"][2]["reason"], "it does not offer `exec`");
        assert_eq!(
            failure.to_string(),
            "step 2 (do = \"start\"): expected an answer, saw none"
        );
    }
}
