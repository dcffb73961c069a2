use bytes::Bytes;
use fleet_model::item::workload_kind;

use super::*;

fn request(key: &str) -> Request {
    Request::Logs {
        item: ItemKey {
            kind: workload_kind(),
            key: key.into(),
        },
        generation: Generation(1),
        options: LogOptions::default(),
    }
}

fn pair() -> (Opener, Acceptor) {
    let (a, b) = tokio::io::duplex(1024);
    let (opener, drive_a) = Opener::over(Box::new(a));
    let (acceptor, drive_b) = Acceptor::over(Box::new(b));
    tokio::spawn(drive_a);
    tokio::spawn(drive_b);
    (opener, acceptor)
}

#[tokio::test]
async fn a_stream_that_nobody_reads_holds_no_other() {
    let (opener, mut acceptor) = pair();
    tokio::spawn(async move {
        while let Some(mut pending) = acceptor.accept().await {
            tokio::spawn(async move {
                pending.request().await.unwrap();
                let mut stream = pending.accept().await.unwrap();
                // Far more than any window: ends only if the reader reads or goes away.
                for _ in 0..64 {
                    if stream.send(Bytes::from(vec![7; 256 * 1024])).await.is_err() {
                        return;
                    }
                }
                let _ = stream.finish().await;
            });
        }
    });
    let stuck = opener.open(&request("stuck")).await.unwrap();
    let mut read = opener.open(&request("read")).await.unwrap();
    let mut total = 0;
    while let Some(frame) = read.receive().await {
        total += frame.unwrap().len();
    }
    assert_eq!(total, 64 * 256 * 1024);
    drop(stuck);
}

#[tokio::test]
async fn a_refusal_reaches_the_asker_and_a_broken_session_is_unavailable() {
    let (opener, mut acceptor) = pair();
    let node = tokio::spawn(async move {
        let mut pending = acceptor.accept().await.unwrap();
        assert_eq!(pending.request().await.unwrap(), request("a"));
        pending
            .refuse(Error::not_found("no-such", "no such workload"))
            .await
            .unwrap();
        acceptor
    });
    assert_eq!(
        opener.open(&request("a")).await.unwrap_err().code,
        "no-such"
    );
    let mut acceptor = node.await.unwrap();
    let node = tokio::spawn(async move { drop(acceptor.accept().await.unwrap()) });
    assert_eq!(
        opener.open(&request("b")).await.unwrap_err().kind,
        ErrorKind::Unavailable
    );
    node.await.unwrap();
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(60), what)
        .await
        .expect("it did not happen within 60 s")
}

/// Answers every request and keeps its stream.
fn answer_all(mut acceptor: Acceptor) -> mpsc::UnboundedReceiver<BulkStream> {
    let (keep, kept) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(mut pending) = acceptor.accept().await {
            let keep = keep.clone();
            tokio::spawn(async move {
                if pending.request().await.is_ok()
                    && let Ok(stream) = pending.accept().await
                {
                    let _ = keep.send(stream);
                }
            });
        }
    });
    kept
}

fn refused(opened: Result<BulkStream, Error>) -> (ErrorKind, String) {
    let error = opened.unwrap_err();
    (error.kind, error.code)
}

#[tokio::test]
async fn many_at_once_that_are_not_answered_hold_up_no_other_and_none_is_lost() {
    let (opener, mut acceptor) = pair();
    let ask = |key| {
        let opener = opener.clone();
        tokio::spawn(async move { opener.open(&request(key)).await })
    };
    let waiting: Vec<_> = (0..600).map(|_| ask("waits")).collect();
    // They come while nobody takes them up.
    within(async {
        while acceptor.incoming.len() < 600 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let other = ask("other");
    let mut kept = Vec::new();
    loop {
        let mut pending = within(acceptor.accept()).await.unwrap();
        if pending.request().await.unwrap() == request("other") {
            pending.accept().await.unwrap();
            break;
        }
        kept.push(pending);
    }
    within(other).await.unwrap().unwrap();
    for pending in kept {
        pending.accept().await.unwrap();
    }
    for asked in waiting {
        within(asked).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn past_the_most_that_may_be_open_one_is_refused_and_the_others_go_on() {
    let (opener, acceptor) = pair();
    let mut answered = answer_all(acceptor);
    let mut open = Vec::new();
    for _ in 0..MOST_OPENED {
        open.push(within(opener.open(&request("a"))).await.unwrap());
    }
    for _ in 0..2 * (MAX_STREAMS - MOST_OPENED) {
        let too_many = (ErrorKind::Exhausted, "too-many-streams".to_owned());
        assert_eq!(refused(within(opener.open(&request("a"))).await), too_many);
    }
    let mut first = answered.recv().await.unwrap();
    first.send(Bytes::from_static(b"on")).await.unwrap();
    let frame = within(open.first_mut().unwrap().receive()).await;
    assert_eq!(frame.unwrap().unwrap(), "on");
    drop(open.pop());
    within(opener.open(&request("a"))).await.unwrap();
}

#[tokio::test]
async fn streams_that_the_asker_let_go_count_while_the_node_holds_them() {
    let (opener, acceptor) = pair();
    let mut held = answer_all(acceptor);
    let mut kept = within(opener.open(&request("kept"))).await.unwrap();
    let large = Request::Send {
        item: ItemKey {
            kind: workload_kind(),
            key: "a".into(),
        },
        generation: Generation(1),
        call: "c".into(),
        base64: "A".repeat(MAX_FRAME_BYTES / 2),
    };
    let mut opened = 1;
    let refusal = loop {
        // Let go at once.
        match within(opener.open(&request("a"))).await {
            Ok(stream) => drop(stream),
            Err(error) => break error,
        }
        opened += 1;
        assert!(opened <= MAX_STREAMS, "as many as yamux bears");
    };
    assert_eq!(
        (opened, refusal.code.as_str()),
        (MOST_ANSWERED, "too-many-streams")
    );
    let too_many = (ErrorKind::Exhausted, "too-many-streams".to_owned());
    for _ in 0..2 * (MAX_STREAMS - MOST_ANSWERED) {
        assert_eq!(refused(within(opener.open(&request("a"))).await), too_many);
    }
    // Also one that the node does not read to its end.
    assert_eq!(refused(within(opener.open(&large)).await), too_many);
    let mut first = held.recv().await.unwrap();
    first.send(Bytes::from_static(b"on")).await.unwrap();
    assert_eq!(within(kept.receive()).await.unwrap().unwrap(), "on");
}
