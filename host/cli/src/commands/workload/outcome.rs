//! What became of a workload that should run: in a line, and as an exit code.

use fleet_model::ErrorKind;
use fleet_model::workload::{Workload, WorkloadState};

use crate::failure::Failure;

/// Whether there is nothing more to wait for. What ended and is started again after a pause has had its
/// chance: how often it will end again nobody knows.
pub(crate) fn is_settled(workload: &Workload) -> bool {
    let state = workload.state;
    matches!(state, WorkloadState::Running | WorkloadState::Restarting) || state.has_ended()
}

/// It as a line, and a line for each port.
pub(crate) fn line(workload: &Workload) -> String {
    let mut text = format!("{}  {}  {}", workload.id, workload.name, workload.state);
    if let Some(code) = workload.exit_code {
        text.push_str(&format!(" with code {code}"));
    }
    if let (WorkloadState::Running, Some(pid)) = (workload.state, workload.attributes.get("pid")) {
        text.push_str(&format!("  pid {pid}"));
    }
    text.push('\n');
    for (name, port) in &workload.ports {
        text.push_str(&format!("  {name}  127.0.0.1:{port}\n"));
    }
    text
}

/// Success where it runs or ran well; else why not, and where to look.
pub(crate) fn verdict(workload: &Workload) -> Result<(), Failure> {
    let name = &workload.name;
    let told = workload
        .error
        .as_ref()
        .map(|error| error.message.as_str())
        .or(workload.message.as_deref());
    let because = told.map(|why| format!(": {why}")).unwrap_or_default();
    let look = format!(
        "`fleet-host workload logs {name}` shows what it printed, `fleet-host workload show {name}` all that is known"
    );
    match (workload.state, workload.exit_code) {
        (WorkloadState::Exited, Some(0)) => Ok(()),
        (WorkloadState::Exited, Some(code)) => {
            let how = how_it_ended(workload, code);
            Err(Failure::failed(format!("{name} {how}{because}")).help(look))
        }
        (WorkloadState::Exited, None) => {
            Err(Failure::failed(format!("{name} exited, nobody knows how{because}")).help(look))
        }
        (WorkloadState::Restarting, Some(0)) => Ok(()),
        (WorkloadState::Restarting, _) => {
            Err(Failure::failed(format!("{name} does not stay up{because}")).help(look))
        }
        (WorkloadState::Failed, _) => Err(not_started(workload, &because)),
        (WorkloadState::Lost, _) => Err(Failure::failed(format!(
            "{name} is lost: it was there, and nobody knows how it ended{because}"
        ))
        .help(look)),
        _ => Ok(()),
    }
}

fn how_it_ended(workload: &Workload, code: i32) -> String {
    let attribute = |name| workload.attributes.get(name).map(String::as_str);
    match (attribute("oom"), workload.spec.limits.memory) {
        (Some("true"), Some(limit)) => {
            return format!("was ended: it needed more memory than its limit of {limit}");
        }
        (Some("true"), None) => return "was ended: there was no memory left for it".to_owned(),
        _ => {}
    }
    match attribute("signal") {
        Some(signal) => format!("was ended by signal {signal}"),
        None => format!("exited with code {code}"),
    }
}

/// A refusal tells its own remedy; another failure is looked up.
fn not_started(workload: &Workload, because: &str) -> Failure {
    let name = &workload.name;
    let message = format!("{name} could not be started{because}");
    let (first, lines) = message.split_once('\n').unwrap_or((&message, ""));
    let failure = Failure::failed(first.trim_end());
    let is_refusal = workload
        .error
        .as_ref()
        .is_some_and(|error| error.kind == ErrorKind::Denied);
    match lines.trim_end() {
        "" if is_refusal => failure.help(format!(
            "`fleet-host plugin show {} --effective` shows what it may do",
            workload.backend
        )),
        "" => failure.help(format!(
            "`fleet-host workload show {name}` shows all that is known"
        )),
        lines => failure.help(lines),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::workload;
    use super::*;

    #[test]
    fn running_and_a_good_end_are_success() {
        verdict(&workload(json!({}))).unwrap();
        verdict(&workload(json!({"state": "exited", "exit_code": 0}))).unwrap();
        verdict(&workload(
            json!({"state": "restarting", "exit_code": 0, "message": "it exited with code 0"}),
        ))
        .unwrap();
    }

    #[test]
    fn waiting_ends_where_it_runs_or_has_ended_once() {
        let settled = |state: &WorkloadState| is_settled(&workload(json!({"state": state})));
        let words: Vec<_> = WorkloadState::ALL
            .iter()
            .filter(|state| settled(state))
            .map(|state| state.as_str())
            .collect();
        assert_eq!(words, ["running", "restarting", "exited", "failed", "lost"]);
    }

    #[test]
    fn every_bad_end_says_why_and_where_to_look() {
        let error = json!({"kind": "denied", "code": "no-launcher", "message": "no launcher allows it; add:\n  [x]"});
        for (fields, message, help) in [
            (
                json!({"state": "exited", "exit_code": 3}),
                "web exited with code 3",
                "logs web",
            ),
            (
                json!({"state": "exited", "exit_code": 137, "attributes": {"signal": "KILL"}}),
                "web was ended by signal KILL",
                "logs web",
            ),
            (
                json!({
                    "state": "exited", "exit_code": 137, "attributes": {"signal": "KILL", "oom": "true"},
                    "spec": {"command": ["x"], "limits": {"memory": "64MiB"}},
                }),
                "web was ended: it needed more memory than its limit of 64MiB",
                "show web",
            ),
            (
                json!({"state": "failed", "message": "no such program"}),
                "web could not be started: no such program",
                "show web",
            ),
            (
                json!({"state": "failed", "error": error}),
                "web could not be started: no launcher allows it; add:",
                "  [x]",
            ),
            (
                json!({"state": "restarting", "exit_code": 1, "message": "it exited with code 1; it is started again after 2s"}),
                "web does not stay up: it exited with code 1; it is started again after 2s",
                "logs web",
            ),
            (
                json!({"state": "lost"}),
                "web is lost: it was there, and nobody knows how it ended",
                "show web",
            ),
        ] {
            let failure = verdict(&workload(fields)).unwrap_err();
            assert_eq!((failure.exit as u8, failure.message.as_str()), (1, message));
            assert!(failure.help.as_ref().unwrap().contains(help), "{failure:?}");
        }
    }

    #[test]
    fn a_line_has_id_name_state_and_ports() {
        assert_eq!(
            line(&workload(json!({}))),
            "wl_01aryz6s41tsv4rrffq69g5fav  web  running  pid 4711\n  http  127.0.0.1:40123\n"
        );
        let ended = workload(json!({"state": "exited", "exit_code": 3, "ports": {}}));
        assert_eq!(
            line(&ended),
            "wl_01aryz6s41tsv4rrffq69g5fav  web  exited with code 3\n"
        );
    }
}
