use fleet_sdk::driver::{Exit, Limits};
use fleet_sdk::{Attributes, ErrorKind};

use super::*;
use crate::config::Stdin;

fn pairs(list: &[(&str, &str)]) -> Attributes {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn workload(command: &[&str]) -> Workload {
    Workload {
        id: "wl_1".to_owned(),
        name: "web".to_owned(),
        node: "nd_1".to_owned(),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        env: pairs(&[("PORT_HTTP", "8080")]),
        ports: Vec::new(),
        labels: pairs(&[("tier", "front")]),
        config: "{}".to_owned(),
        limits: Limits {
            cpu_millis: Some(500),
            memory_bytes: None,
            processes: None,
            attributes: Vec::new(),
        },
        attributes: Vec::new(),
    }
}

fn status(state: process::State, pid: Option<u32>) -> process::Status {
    process::Status {
        state,
        pid,
        started_at_ms: Some(5),
        attributes: pairs(&[("isolation", "cgroup"), ("pid", "0")]),
    }
}

fn exit(code: i32, signal: Option<&str>) -> Exit {
    Exit {
        code,
        signal: signal.map(str::to_owned),
        at_ms: Some(9),
    }
}

#[test]
fn a_workload_becomes_a_request() {
    let config = Config {
        launcher: "python".to_owned(),
        stdin: Stdin::Null,
    };
    let request = request(workload(&["echo", "a b"]), config).unwrap();
    assert_eq!(request.launcher, "python");
    assert_eq!(request.workload, "wl_1");
    assert_eq!(request.command, ["echo", "a b"]);
    assert_eq!(request.env, pairs(&[("PORT_HTTP", "8080")]));
    assert_eq!(request.attributes, pairs(&[("stdin", "null")]));
}

#[test]
fn a_workload_without_a_program_is_refused_with_the_remedy() {
    let error = request(workload(&[]), Config::default()).unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Invalid, "command-missing")
    );
    assert!(error.message.contains("after `--`"), "{}", error.message);
}

#[test]
fn every_state_of_a_process_is_one_of_the_runtime() {
    use process::State;
    for (state, want) in [
        (State::Prepared, RunState::Created),
        (State::Running, RunState::Running),
        (
            State::Exited(exit(3, None)),
            RunState::Exited(exit(3, None)),
        ),
        (
            State::Lost("reboot".to_owned()),
            RunState::Lost("reboot".to_owned()),
        ),
        (
            State::Other("frozen".to_owned()),
            RunState::Other("frozen".to_owned()),
        ),
    ] {
        let seen = observation(Ok(status(state, None))).unwrap();
        assert_eq!(seen.state, want);
        assert_eq!(seen.started_at_ms, Some(5));
    }
}

#[test]
fn pid_and_signal_are_said_once() {
    let running = observation(Ok(status(process::State::Running, Some(7)))).unwrap();
    assert_eq!(
        running.attributes,
        pairs(&[("isolation", "cgroup"), ("pid", "7")])
    );
    let exited = process::State::Exited(exit(143, Some("TERM")));
    let ended = observation(Ok(status(exited, None))).unwrap();
    assert!(
        ended
            .attributes
            .contains(&("signal".to_owned(), "TERM".to_owned()))
    );
}

#[test]
fn a_process_without_a_record_is_lost_and_other_failures_are_errors() {
    let gone = Error::new(ErrorKind::NotFound, "no-process", "no record of it");
    let seen = observation(Err(gone.clone())).unwrap();
    assert_eq!(seen.state, RunState::Lost("no record of it".to_owned()));
    let denied = Error::new(ErrorKind::Denied, "no-grant", "add a line");
    assert_eq!(
        observation(Err(denied.clone())).unwrap_err().kind,
        ErrorKind::Denied
    );
    assert_eq!(
        unknown(denied.clone()).state,
        RunState::Unknown("add a line".to_owned())
    );
    assert!(or_gone(Err(gone)).is_ok());
    assert!(or_gone(Err(denied)).is_err());
}

#[test]
fn a_listed_process_has_the_handle_it_was_created_with() {
    let entry = process::Listed {
        ref_: "wl_1/7.1".to_owned(),
        workload: "wl_1".to_owned(),
        generation: 7,
    };
    let listed = listed(entry).unwrap();
    let created = Runtime {
        process: "wl_1/7.1".to_owned(),
    };
    assert_eq!(listed.handle, created.handle().unwrap());
    assert_eq!(Runtime::of(&listed.handle).unwrap(), created);
    assert_eq!((listed.workload.as_str(), listed.generation), ("wl_1", 7));
}
