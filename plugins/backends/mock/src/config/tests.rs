use serde_json::{Value, json};

use super::*;

fn parse(document: &Value) -> Result<Config, String> {
    let config: Config =
        serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.message)?;
    Ok(config)
}

const CALLS: [(&str, Call); 13] = [
    ("create", Call::Create),
    ("start", Call::Start),
    ("stop", Call::Stop),
    ("kill", Call::Kill),
    ("destroy", Call::Destroy),
    ("inspect", Call::Inspect),
    ("recover", Call::Recover),
    ("watch", Call::Watch),
    ("logs", Call::Logs),
    ("send", Call::Send),
    ("exec", Call::Exec),
    ("signal", Call::Signal),
    ("stats", Call::Stats),
];

fn accepted() -> Vec<Value> {
    let mut documents = vec![
        json!({}),
        json!({"create_error": {"kind": "unavailable"}, "create_pending_ms": 5}),
        json!({"start_error": {"kind": "invalid", "code": "c", "message": "m", "attempts": 2}}),
        json!({"start_delay_ms": 0, "run_ms": LONGEST_MS, "exit_code": 255}),
        json!({"run_ms": 0, "exit_signal": "SEGV", "lost_after_ms": 3}),
        json!({"ignore_stop": true, "stop_ms": 10}),
        json!({"output": []}),
        json!({"exec": [{}, {"command": ["a", "b"], "output": ["c"], "exit_code": 3}, {"hangs": true}]}),
        json!({"usage": {}}),
        json!({"usage": {"cpu_millis": 0, "memory_bytes": u32::MAX, "processes": 2, "read_bytes_per_s": 1,
            "written_bytes_per_s": 1}}),
        json!({"output": ["a", {"text": "b"}, {"text": "c", "stream": "stderr", "after_ms": 7}]}),
    ];
    for kind in [
        "not-found",
        "conflict",
        "denied",
        "unsupported",
        "deadline",
        "exhausted",
        "internal",
        "other",
    ] {
        documents.push(json!({"start_error": {"kind": kind}}));
    }
    for (name, _) in CALLS {
        let key = format!("{name}_error");
        documents.push(json!({ key: {"kind": "exhausted", "attempts": 1} }));
    }
    for fault in [
        "trap", "spin", "allocate", "hang", "internal", "garbage", "flood",
    ] {
        for (call, _) in CALLS {
            documents.push(json!({"fault": fault, "fault_in": call}));
        }
    }
    documents
}

fn refused() -> Vec<Value> {
    vec![
        json!({"runms": 1}),
        json!({"run_ms": -1}),
        json!({"run_ms": "1"}),
        json!({"run_ms": LONGEST_MS + 1}),
        json!({"run_ms": 1.5}),
        json!({"exit_code": 1}),
        json!({"exit_signal": "TERM"}),
        json!({"run_ms": 1, "exit_code": 256}),
        json!({"run_ms": 1, "exit_code": 1, "exit_signal": "TERM"}),
        json!({"run_ms": 1, "exit_signal": "SIGTERM"}),
        json!({"run_ms": 1, "exit_signal": "WINCH"}),
        json!({"ignore_stop": 1}),
        json!({"list_error": {"kind": "other"}}),
        json!({"start_error": "unavailable"}),
        json!({"start_error": {}}),
        json!({"start_error": {"kind": "not_found"}}),
        json!({"start_error": {"kind": "other", "attempts": 0}}),
        json!({"start_error": {"kind": "other", "why": ""}}),
        json!({"output": "a"}),
        json!({"exec": {}}),
        json!({"exec": [{"exitcode": 1}]}),
        json!({"exec": [{"exit_code": 256}]}),
        json!({"exec": [{"command": "sh"}]}),
        json!({"usage": {"cpu": 1}}),
        json!({"usage": {"cpu_millis": -1}}),
        json!({"usage": {"memory_bytes": 4294967296u64}}),
        json!({"output": [1]}),
        json!({"output": [{"text": "a", "stream": "both"}]}),
        json!({"output": [{"stream": "stdout"}]}),
        json!({"output": [{"text": "a", "at": 1}]}),
        json!({"fault": "trap"}),
        json!({"fault_in": "start"}),
        json!({"fault": "trap", "fault_in": "describe"}),
        json!({"fault": "explode", "fault_in": "start"}),
    ]
}

#[test]
fn the_schema_and_the_types_take_and_refuse_the_same_documents() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    for document in accepted() {
        assert!(schema.is_valid(&document), "the schema refuses {document}");
        parse(&document).unwrap_or_else(|error| panic!("{document}: {error}"));
    }
    for document in refused() {
        assert!(!schema.is_valid(&document), "the schema takes {document}");
        assert!(parse(&document).is_err(), "the types take {document}");
    }
}

#[test]
fn the_schema_lists_the_signals_that_end_a_program() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let listed = schema["properties"]["exit_signal"]["enum"]
        .as_array()
        .unwrap();
    let deadly = |name: &Value| Deadly::try_from(name.as_str().unwrap().to_owned()).is_ok();
    assert!(listed.iter().all(deadly));
    let mut all = [
        "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "WINCH",
    ]
    .len();
    all += listed.len();
    assert_eq!(all, 31);
}

#[test]
fn a_config_reads_back_as_it_was_written() {
    for document in accepted() {
        let config = parse(&document).unwrap();
        let written = serde_json::to_value(&config).unwrap();
        assert_eq!(parse(&written).unwrap(), config, "{document}");
    }
    assert_eq!(serde_json::to_value(Config::default()).unwrap(), json!({}));
}

#[test]
fn a_refusal_may_end_with_the_attempts() {
    let config = parse(&json!({"start_error": {"kind": "unavailable", "attempts": 2}})).unwrap();
    let refusal = config.refusal(Call::Start).unwrap();
    for (attempt, fails) in [(1, true), (2, true), (3, false)] {
        assert_eq!(refusal.at(attempt).is_err(), fails, "attempt {attempt}");
    }
    let error = refusal.at(1).unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Unavailable, "planned")
    );
}

#[test]
fn each_call_is_refused_by_its_own_key() {
    for (name, call) in CALLS {
        let key = format!("{name}_error");
        let config = parse(&json!({ key: {"kind": "other"} })).unwrap();
        for (_, other) in CALLS {
            assert_eq!(
                config.refusal(other).is_some(),
                other == call,
                "{name} {other:?}"
            );
        }
    }
}
