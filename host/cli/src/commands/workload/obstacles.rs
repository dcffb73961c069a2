//! What is in the way of an end that is waited for, told on stderr, each thing once.

use std::collections::BTreeMap;

use fleet_model::WorkloadId;
use fleet_model::workload::Workload;

use super::settle::{obstacle, on_a_line};
use crate::output::Output;

/// What was told of each workload last.
#[derive(Debug, Default)]
pub(super) struct Obstacles(BTreeMap<WorkloadId, String>);

impl Obstacles {
    /// Tells what keeps a workload from its end, unless that was told already.
    pub(super) fn see(&mut self, now: &Workload, output: &mut Output) {
        if output.is_json() {
            return;
        }
        if let Some(text) = self.news(now) {
            // Where stderr is gone, the exit code is all there is.
            let _ = output.warning(&text);
        }
    }

    fn news(&mut self, now: &Workload) -> Option<String> {
        let obstacle = obstacle(now)?;
        if self.0.get(&now.id).is_some_and(|told| told == obstacle) {
            return None;
        }
        self.0.insert(now.id, obstacle.to_owned());
        let what = if now.removing {
            "being removed".to_owned()
        } else {
            now.state.to_string()
        };
        Some(format!("{} is {what}: {}", now.name, on_a_line(obstacle)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::workload;
    use super::*;

    #[test]
    fn each_obstacle_is_told_once_for_each_workload() {
        let error = |message: &str| json!({"kind": "denied", "code": "c", "message": message});
        let going = |message: &str| {
            workload(json!({"state": "stopping", "removing": true, "error": error(message)}))
        };
        let mut obstacles = Obstacles::default();
        let ungranted = "not granted: add to g.toml\n[mock]\nclock = true";
        assert_eq!(
            obstacles.news(&going(ungranted)).unwrap(),
            "web is being removed: not granted: add to g.toml\n  [mock]\n  clock = true"
        );
        assert_eq!(obstacles.news(&going(ungranted)), None);
        assert!(obstacles.news(&going("it trapped")).is_some());
        let stopping = workload(json!({"state": "stopping", "error": error("it hangs")}));
        assert_eq!(
            obstacles.news(&stopping).unwrap(),
            "web is stopping: it hangs"
        );
        assert_eq!(Obstacles::default().news(&workload(json!({}))), None);
    }
}
