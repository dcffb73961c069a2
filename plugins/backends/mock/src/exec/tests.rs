use fleet_sdk::exec::Size;
use serde_json::json;

use super::*;

fn config() -> Config {
    serde_json::from_value(json!({"exec": [
        {"command": ["say"], "exit_code": 3,
         "output": ["abc", {"text": "de", "stream": "stderr"}, {"text": "f", "after_ms": 50}]},
        {"command": ["hang", "on"], "hangs": true, "output": ["x"]},
    ]}))
    .unwrap()
}

fn request(command: &[&str], terminal: Option<Size>) -> Request {
    Request {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        env: Vec::new(),
        terminal,
        attributes: Vec::new(),
    }
}

fn name(command: &[&str]) -> Name {
    Name::of(&config(), &request(command, None), "k.1").unwrap()
}

/// Runs since 1,000.
fn life() -> Life {
    Life::default().start(&config(), "op", 1_000)
}

/// `running`, `3`, `137 KILL`.
fn word(name: &Name, life: &Life, now_ms: u64) -> String {
    match state(name, &config(), life, now_ms).unwrap() {
        State::Running => "running".to_owned(),
        State::Exited(Exit {
            code,
            signal: Some(signal),
            ..
        }) => format!("{code} {signal}"),
        State::Exited(Exit { code, .. }) => code.to_string(),
        other => format!("{other:?}"),
    }
}

/// `1000 out abc 4` for each line.
fn read(name: &Name, cursor: Option<&str>) -> Vec<String> {
    let lines = lines(name, &config(), &life(), cursor).unwrap();
    lines
        .into_iter()
        .map(|line| {
            let origin = match line.origin {
                Origin::Stdout => "out",
                Origin::Stderr => "err",
                Origin::Other(_) => "end",
            };
            let text = String::from_utf8(line.bytes).unwrap();
            format!("{} {origin} {text} {}", line.time_ms, line.cursor)
        })
        .collect()
}

#[test]
fn a_command_finds_its_plan_and_the_name_reads_back() {
    let found = name(&["say", "more"]);
    assert_eq!(found.to_string(), "0.pipes.k.1");
    let terminal = Some(Size {
        columns: 80,
        rows: 24,
    });
    let shown = Name::of(&config(), &request(&["hang", "on"], terminal), "k").unwrap();
    assert_eq!(shown.to_string(), "1.terminal.k");
    for name in [found, shown] {
        assert_eq!(name.to_string().parse::<Name>().unwrap(), name);
    }
    for missing in [&["hang"][..], &[], &["other"]] {
        let error = Name::of(&config(), &request(missing, None), "k").unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Invalid, "program-missing")
        );
    }
    for garbage in ["", "x", "0", "0.pipes", "0.screen.k", "x.pipes.k"] {
        let error = garbage.parse::<Name>().unwrap_err();
        assert!(error.is_not_found(), "{garbage}");
    }
    let beyond: Name = "9.pipes.k".parse().unwrap();
    assert!(
        state(&beyond, &config(), &life(), 1)
            .unwrap_err()
            .is_not_found()
    );
}

#[test]
fn it_ends_with_its_last_line_or_with_its_workload() {
    let (say, hang) = (name(&["say"]), name(&["hang", "on"]));
    let term = Deadly::try_from("TERM".to_owned()).unwrap();
    let stopped = life().stop(&config(), term, 1_020);
    for (name, life, now_ms, want) in [
        (&say, &life(), 1_000, "running"),
        (&say, &life(), 1_050, "3"),
        (&hang, &life(), u64::MAX - 1, "running"),
        (&say, &stopped, 1_019, "running"),
        (&say, &stopped, 1_020, "137 KILL"),
        (&hang, &stopped, 1_020, "137 KILL"),
    ] {
        assert_eq!(word(name, life, now_ms), want, "{name} at {now_ms}");
    }
    let never = state(&say, &config(), &Life::default(), 9).unwrap();
    assert!(matches!(never, State::Lost(_)), "{never:?}");
}

#[test]
fn output_goes_on_after_any_byte() {
    let say = name(&["say"]);
    let all = ["1000 out abc 4", "1000 err de 7", "1050 out f 9"];
    assert_eq!(read(&say, None), all);
    for (cursor, want) in [
        ("0", &all[..]),
        ("2", &["1000 out c 4", all[1], all[2]]),
        ("3", &["1000 out  4", all[1], all[2]]),
        ("4", &all[1..]),
        ("7", &all[2..]),
        ("9", &[]),
        ("99", &[]),
    ] {
        assert_eq!(read(&say, Some(cursor)), want, "after {cursor}");
    }
    let error = lines(&say, &config(), &life(), Some("x")).unwrap_err();
    assert_eq!(error.code, "cursor");
    let end = u64::MAX;
    assert_eq!(
        read(&name(&["hang", "on"]), Some("2")),
        [format!("{end} end  2")]
    );
}

#[test]
fn a_terminal_is_one_stream_and_a_workload_that_ends_prints_no_more() {
    let terminal: Name = "0.terminal.k".parse().unwrap();
    assert_eq!(read(&terminal, Some("4"))[0], "1000 out de 7");
    let killed = life().kill(&config(), 1_010);
    let all = lines(&terminal, &config(), &killed, None).unwrap();
    assert_eq!(all.len(), 2);
}
