use super::*;

fn line(ask: &Ask) -> String {
    let query: Vec<String> = ask
        .query
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("{} {} {}", ask.method, ask.path, query.join("&"))
        .trim_end()
        .to_owned()
}

#[test]
fn each_request_is_what_the_policy_has_a_rule_for() {
    let all = Part::default();
    let some = Part {
        follow: true,
        since_s: Some("7.005".to_owned()),
        tail: Some(9),
    };
    let body = "{}".to_owned();
    for (ask, want) in [
        (info(), "GET /info"),
        (create(body.clone()), "POST /containers/create"),
        (list(), "GET /containers/json all=1"),
        (find("wl_1"), "GET /containers/json all=1&workload=wl_1"),
        (inspect("c0"), "GET /containers/c0/json"),
        (start("c0"), "POST /containers/c0/start"),
        (signal("c0", "TERM"), "POST /containers/c0/kill signal=TERM"),
        (remove("c0"), "DELETE /containers/c0 force=1&v=1"),
        (
            stats("c0"),
            "GET /containers/c0/stats stream=false&one-shot=true",
        ),
        (
            logs("c0", &all),
            "GET /containers/c0/logs stdout=1&stderr=1&timestamps=1&follow=0",
        ),
        (
            logs("c0", &some),
            "GET /containers/c0/logs stdout=1&stderr=1&timestamps=1&follow=1&since=7.005&tail=9",
        ),
        (events("c0", 12_999), "GET /events container=c0&since=11"),
        (
            pull("busybox", Some("1")),
            "POST /images/create fromImage=busybox&tag=1",
        ),
        (
            pull("busybox@sha256:0", None),
            "POST /images/create fromImage=busybox@sha256:0",
        ),
        (exec_create("c0", body), "POST /containers/c0/exec"),
        (exec_start("e0", true), "POST /exec/e0/start"),
        (exec_inspect("e0"), "GET /exec/e0/json"),
        (exec_resize("e0", 80, 24), "POST /exec/e0/resize h=24&w=80"),
        (exec_signal("e0", "HUP"), "POST /exec/e0/signal signal=HUP"),
        (exec_forget("e0"), "DELETE /exec/e0"),
    ] {
        assert_eq!(line(&ask), want);
    }
}

#[test]
fn a_terminal_is_told_to_whom_begins_a_program() {
    for (terminal, body, framing) in [
        (true, r#"{"Detach":false,"Tty":true}"#, "raw"),
        (false, r#"{"Detach":false,"Tty":false}"#, "multiplexed"),
    ] {
        assert_eq!(exec_start("e0", terminal).body.as_deref(), Some(body));
        assert_eq!(Framing::of_terminal(terminal).word(), framing);
    }
}
