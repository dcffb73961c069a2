//! Streams that outlive their readers.

use tokio::io::{DuplexStream, duplex, split};
use tokio::sync::Semaphore;

use super::*;
use crate::process::exec::limits::KEPT_BYTES;

async fn kept() -> (Arc<Kept>, DuplexStream) {
    framed(Framing::Raw).await
}

async fn framed(framing: Framing) -> (Arc<Kept>, DuplexStream) {
    let (ours, theirs) = duplex(64 * 1024);
    let (read, write) = split(ours);
    let opened = Opened {
        read: Box::new(read),
        write: Some(Box::new(write)),
    };
    let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    (Kept::new(opened, framing, place), theirs)
}

async fn text(source: &mut Source, until: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(until) {
        let frame = source.output.next().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&frame.bytes).unwrap());
    }
    text
}

#[tokio::test]
async fn a_reader_goes_on_where_the_one_before_it_stopped() {
    let (kept, mut service) = kept().await;
    service.write_all(b"one two").await.unwrap();
    let mut first = kept.attach(0).unwrap();
    assert_eq!(text(&mut first, "two").await, "one two");
    drop(first);
    service.write_all(b" three").await.unwrap();
    let mut second = kept.attach(4).unwrap();
    assert_eq!(text(&mut second, "three").await, "two three");
    let mut third = kept.attach(13).unwrap();
    let error = second.output.next().await.unwrap().unwrap_err();
    assert_eq!(error.code, "attached-elsewhere");
    assert!(second.output.next().await.is_none());
    assert_eq!(
        second
            .input
            .unwrap()
            .give(Bytes::from("x"))
            .await
            .unwrap_err()
            .code,
        "attached-elsewhere"
    );
    drop(service);
    assert!(third.output.next().await.is_none());
    kept.read_to_its_end().await;
    assert_eq!(kept.attach(99).unwrap_err().code, "bad-cursor");
}

#[tokio::test]
async fn input_is_counted_and_ends_alone() {
    let (kept, mut service) = kept().await;
    let mut source = kept.attach(0).unwrap();
    let mut input = source.input.take().unwrap();
    input.give(Bytes::from("hello")).await.unwrap();
    assert_eq!(input.taken(), 5);
    input.end().await.unwrap();
    let mut heard = Vec::new();
    service.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"hello");
    assert_eq!(
        input.give(Bytes::from("x")).await.unwrap_err().code,
        "input-closed"
    );
    input.end().await.unwrap();
    service.write_all(b"still").await.unwrap();
    assert_eq!(text(&mut source, "still").await, "still");
}

#[tokio::test]
async fn while_somebody_reads_the_service_waits_and_else_the_oldest_goes() {
    let (kept, mut service) = kept().await;
    let much = usize::try_from(2 * KEPT_BYTES).unwrap();
    let writer = tokio::spawn(async move {
        service.write_all(&vec![b'x'; much]).await.unwrap();
    });
    let mut source = kept.attach(0).unwrap();
    let mut input = source.input.take().unwrap();
    let (mut read, end) = (0, KEPT_BYTES);
    while read < end {
        read += source.output.next().await.unwrap().unwrap().bytes.len() as u64;
    }
    // All that fits has come, and nothing was said to be seen.
    assert_eq!(read, end);
    assert!(futures::poll!(source.output.next()).is_pending());
    assert!(!writer.is_finished());
    input.seen(end).await.unwrap();
    drop((source, input));
    writer.await.unwrap();
    let mut late = kept.attach(0).unwrap();
    let gap = late.output.next().await.unwrap().unwrap();
    assert_eq!(gap.stream, Stream::Event);
    let mut at: u64 = gap.cursor.unwrap().parse().unwrap();
    assert!(at > 0);
    while let Some(frame) = late.output.next().await {
        at += frame.unwrap().bytes.len() as u64;
    }
    assert_eq!(at, much as u64);
}

#[tokio::test]
async fn an_end_that_is_an_error_was_read_too_and_no_newcomer_ends_it() {
    let table = "header_bytes = 2\nlength_at = 0\nlength_bytes = 2";
    let framing = Framing::read(&toml::from_str(table).unwrap()).unwrap();
    let (kept, mut service) = framed(framing).await;
    let mut first = kept.attach(0).unwrap();
    let mut second = kept.attach(0).unwrap();
    assert!(first.output.next().await.unwrap().is_err());
    assert!(futures::poll!(std::pin::pin!(kept.read_to_its_end())).is_pending());
    service.write_all(&[0, 9, b'x']).await.unwrap();
    drop(service);
    let half = second.output.next().await.unwrap().unwrap();
    assert_eq!(half.bytes, "x");
    let error = second.output.next().await.unwrap().unwrap_err();
    assert_eq!(error.code, "cut-short");
    kept.read_to_its_end().await;
}
