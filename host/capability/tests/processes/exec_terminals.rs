//! Programs beside a process on a terminal.

use fleet_capability::{Processes, Stdin};
use fleet_model::ErrorKind;
use futures::StreamExt;

use crate::exec_harness::{Seen, on_terminal, words};
use crate::harness::{BOTH, Host, Run, caller, lives, until, within};

async fn host_of(host: &Host) -> Run<'_> {
    let run = host.script("echo ready > ready; exec sleep 100").await;
    run.start().await;
    run.file("ready").await;
    run
}

#[tokio::test]
async fn it_has_a_terminal_of_its_own_with_a_size_that_changes() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host_of(&host).await;
        let text = "trap 'echo now $(stty size)' WINCH; test -t 0 && test -t 1 && test -t 2 && tty; \
            echo $TERM; stty size; ps -o sid= -p $$; echo $$; echo err >&2; : > /dev/tty && echo mine; \
            while [ ! -e over ]; do sleep 0.01; done; exit 6";
        let exec = run.exec("a", on_terminal(text)).await;
        let mut source = exec.attach(0).await;
        let mut seen = Seen::default();
        exec.reads(&mut source, &mut seen, "mine\r\n").await;
        let text = seen.text();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(lines[0].starts_with("/dev/pts/"), "{text}");
        assert_eq!([lines[1], lines[2]], ["xterm-256color", "30 90"]);
        assert_eq!(lines[3].trim(), lines[4], "it leads its session");
        assert_eq!(lines[5], "err", "there is one stream");
        exec.resize(132, 50).await.unwrap();
        exec.reads(&mut source, &mut seen, "now 50 132\r\n").await;
        std::fs::write(run.workspace().join("over"), "").unwrap();
        assert_eq!(exec.exit().await.code, 6);
        let gone = exec.resize(80, 24).await.unwrap_err();
        assert_eq!(
            (gone.kind, gone.code.as_str()),
            (ErrorKind::NotFound, "exec-ended")
        );
        assert!(seen.stderr.is_empty());
    }
}

#[tokio::test]
async fn ctrl_c_and_signals_reach_what_is_in_front() {
    let host = Host::new();
    let run = host_of(&host).await;
    let mut shell = words(&["sh", "-i"]);
    shell.terminal = on_terminal("").terminal;
    shell.env.insert("PS1".into(), "> ".into());
    shell.env.insert("TERM".into(), "dumb".into());
    let exec = run.exec("shell", shell).await;
    let mut source = exec.attach(0).await;
    let mut seen = Seen::default();
    let mut say = async |text: &str, wanted: &str, seen: &mut Seen| {
        let input = source.input.as_mut().unwrap();
        input.give(text.to_owned().into()).await.unwrap();
        exec.reads(&mut source, seen, wanted).await;
    };
    say("echo $TERM-$((1+1))\n", "dumb-2\r\n", &mut seen).await;
    say(
        "(echo in front; exec sleep 70)\n",
        "in front\r\n",
        &mut seen,
    )
    .await;
    say("\x03", "^C", &mut seen).await;
    say("echo still $((2+2))\n", "still 4", &mut seen).await;
    say(
        "(echo again in front; exec sleep 71)\n",
        "again in front\r\n",
        &mut seen,
    )
    .await;
    // As soon as it is in front it is what is signalled, and not the shell.
    until_answer(&exec, &mut source, &mut seen).await;
    let input = source.input.as_mut().unwrap();
    input.end().await.unwrap();
    while let Some(frame) = within(source.output.next()).await {
        seen.add(&frame.unwrap());
    }
    assert_ne!(
        exec.exit().await.signal.as_deref(),
        Some("INT"),
        "{}",
        seen.text()
    );
}

async fn until_answer(
    exec: &crate::exec_harness::Beside<'_>,
    source: &mut fleet_capability::Source,
    seen: &mut Seen,
) {
    exec.signal("int", "INT").await.unwrap();
    let input = source.input.as_mut().unwrap();
    input
        .give("echo alive $((3+3))\n".to_owned().into())
        .await
        .unwrap();
    exec.reads(source, seen, "alive 6").await;
}

#[tokio::test]
async fn the_end_of_the_input_is_its_end_on_a_terminal_too() {
    let host = Host::new();
    let run = host_of(&host).await;
    let text = "echo ready; while read -r line; do echo \"got $line\"; done; echo over; exit 3";
    for (call, given, wanted) in [
        ("lines", "one\n", "got one\r\nover\r\n"),
        // What is no whole line is lost by `read`; the end is seen all the same.
        ("part", "one", "over\r\n"),
        ("nothing", "", "over\r\n"),
    ] {
        let exec = run.exec(call, on_terminal(text)).await;
        let mut source = exec.attach(0).await;
        let mut seen = Seen::default();
        exec.reads(&mut source, &mut seen, "ready\r\n").await;
        let input = source.input.as_mut().unwrap();
        input.give(given.to_owned().into()).await.unwrap();
        within(input.end()).await.unwrap();
        while let Some(frame) = within(source.output.next()).await {
            seen.add(&frame.unwrap());
        }
        assert!(seen.text().ends_with(wanted), "{call}: {:?}", seen.text());
        assert_eq!(exec.exit().await.code, 3);
    }
    let mut nothing = on_terminal("cat; echo over");
    nothing.stdin = Stdin::Null;
    let seen = run.exec("null", nothing).await.output(0).await;
    assert_eq!(seen.text(), "over\r\n");
}

#[tokio::test]
async fn all_that_is_said_before_the_end_is_there() {
    let host = Host::new();
    let run = host_of(&host).await;
    let exec = run.exec("a", on_terminal("seq 1 50000")).await;
    let wanted: String = (1..=50_000).map(|number| format!("{number}\r\n")).collect();
    assert_eq!(exec.output(0).await.text(), wanted);
    let (shim, program) = exec.pids();
    until(|| (!lives(shim) && !lives(program)).then_some(())).await;
    let state = host
        .processes
        .inspect_exec(&caller(), &exec.name)
        .await
        .unwrap();
    assert!(state.is_over());
}
