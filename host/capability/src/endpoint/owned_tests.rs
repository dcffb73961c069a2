//! What a host knows of what was made, over restarts.

use fleet_model::{Attempt, Generation, ItemKey, Verb, WorkloadId};

use super::*;

fn plugin(name: &str) -> Name {
    name.parse().unwrap()
}

fn thing(sort: &str, id: &str, parent: Option<&str>) -> Thing {
    Thing {
        plugin: plugin("p"),
        sort: sort.to_owned(),
        id: id.to_owned(),
        workload: "wl_1".to_owned(),
        parent: parent.map(|id| ("thing".to_owned(), id.to_owned())),
        op: "op".to_owned(),
        begun: BTreeSet::new(),
    }
}

fn op(attempt: u64) -> Op {
    Op {
        item: ItemKey::workload(WorkloadId::new(1, 2)),
        generation: Generation(3),
        attempt: Attempt(attempt),
        verb: Verb::Create,
        call: String::new(),
    }
}

#[test]
fn what_was_learned_is_there_after_a_restart_and_only_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::open(folder.path(), 0).unwrap();
    book.learn(&thing("thing", "a", None)).unwrap();
    book.learn(&thing("part", "x", Some("a"))).unwrap();
    book.learn(&thing("thing", "a", None)).unwrap();
    let other = Thing {
        workload: "wl_2".to_owned(),
        ..thing("thing", "a", None)
    };
    assert_eq!(book.learn(&other).unwrap_err().code, "owned-elsewhere");

    let book = Book::open(folder.path(), 0).unwrap();
    let (p, q) = (plugin("p"), plugin("q"));
    assert_eq!(book.of(&p).owner("thing", "a").unwrap().workload, "wl_1");
    assert_eq!(
        book.of(&p).owner("part", "x").unwrap().parent.as_deref(),
        Some("a")
    );
    for (who, sort, id) in [
        (&q, "thing", "a"),
        (&p, "part", "a"),
        (&p, "thing", "b"),
        (&p, "thing", ""),
    ] {
        assert_eq!(book.of(who).owner(sort, id), None);
    }
}

#[test]
fn what_is_released_takes_along_what_lives_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::open(folder.path(), 0).unwrap();
    for made in [
        thing("thing", "a", None),
        thing("part", "x", Some("a")),
        thing("thing", "b", None),
    ] {
        book.learn(&made).unwrap();
    }
    let answer = Answer {
        status: 201,
        headers: Vec::new(),
        body: "{}".to_owned(),
        made: Some(("part".to_owned(), "x".to_owned())),
    };
    book.keep("n", answer.clone()).unwrap();
    assert_eq!(
        Book::open(folder.path(), 0).unwrap().answer("n"),
        Some(answer)
    );
    assert_eq!(book.release("thing", "a").unwrap().len(), 2);
    for book in [&book, &Book::open(folder.path(), 0).unwrap()] {
        let p = plugin("p");
        assert_eq!(book.of(&p).owner("thing", "a"), None);
        assert_eq!(book.of(&p).owner("part", "x"), None);
        assert!(book.of(&p).owner("thing", "b").is_some());
        assert_eq!(book.answer("n"), None);
    }
    book.release("thing", "a").unwrap();
}

#[test]
fn an_op_has_one_nonce_however_often_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::open(folder.path(), 0).unwrap();
    let p = plugin("p");
    assert_eq!(
        book.nonce(&p, &op(1), || "one".to_owned(), 5).unwrap(),
        "one"
    );
    let book = Book::open(folder.path(), 0).unwrap();
    assert_eq!(
        book.nonce(&p, &op(1), || panic!("a second"), 6).unwrap(),
        "one"
    );
    assert_eq!(
        book.nonce(&p, &op(2), || "two".to_owned(), 7).unwrap(),
        "two"
    );
    let key = op(1).item.key;
    let runs: Vec<_> = book.nonces(&p, &key);
    let runs: Vec<_> = runs.iter().map(|nonce| nonce.op.attempt).collect();
    assert_eq!(runs, [Attempt(1), Attempt(2)]);
    assert!(book.nonces(&plugin("q"), &key).is_empty());
    let later = Book::open(folder.path(), 8 + NONCE_MS).unwrap();
    assert!(later.nonces(&p, &key).is_empty());
    for attempt in 3..200 {
        later.nonce(&p, &op(attempt), || "n".to_owned(), 9).unwrap();
    }
    assert_eq!(later.nonces(&p, &key).len(), NONCES);
}

#[test]
fn a_stream_is_begun_once_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::open(folder.path(), 0).unwrap();
    book.learn(&thing("thing", "a", None)).unwrap();
    book.begin("thing", "a", "s").unwrap();
    let book = Book::open(folder.path(), 0).unwrap();
    assert_eq!(
        book.begin("thing", "a", "s").unwrap_err().code,
        "stream-begun"
    );
    book.begin("thing", "a", "t").unwrap();
    book.not_begun("thing", "a", "s").unwrap();
    Book::open(folder.path(), 0)
        .unwrap()
        .begin("thing", "a", "s")
        .unwrap();
    assert!(book.begin("thing", "b", "s").is_err());
}

#[test]
fn what_is_learned_after_its_parent_was_released_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::open(folder.path(), 0).unwrap();
    book.learn(&thing("thing", "a", None)).unwrap();
    book.release("thing", "a").unwrap();
    let part = thing("part", "x", Some("a"));
    assert_eq!(book.learn(&part).unwrap_err().code, "gone");
    assert_eq!(book.of(&plugin("p")).owner("part", "x"), None);
    let files = fs::read_dir(folder.path().join("owned")).unwrap();
    assert_eq!(files.count(), 0);
}

#[test]
fn old_nonces_go_while_the_host_runs() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::open(folder.path(), 0).unwrap();
    let p = plugin("p");
    let of = |number| Op {
        item: ItemKey::workload(WorkloadId::new(number, 2)),
        ..op(1)
    };
    let kept = Thing {
        workload: of(2).item.key,
        ..thing("thing", "a", None)
    };
    book.learn(&kept).unwrap();
    for number in [1, 2] {
        book.nonce(&p, &of(number), || "n".to_owned(), 5).unwrap();
    }
    let files = || fs::read_dir(folder.path().join("nonces")).unwrap().count();
    assert_eq!(files(), 2);
    let late_ms = 6 + NONCE_MS;
    book.nonce(&p, &of(3), || "n".to_owned(), late_ms).unwrap();
    assert!(book.nonces(&p, &of(1).item.key).is_empty());
    assert_eq!(
        book.nonces(&p, &of(2).item.key).len(),
        1,
        "it owns something"
    );
    assert_eq!(files(), 2);
}

/// Requests are decided on where nothing may wait: a disk that stalls holds up only who writes to it.
#[test]
fn looks_do_not_wait_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let book = std::sync::Arc::new(Book::open(folder.path(), 0).unwrap());
    book.learn(&thing("thing", "a", None)).unwrap();
    // Whoever writes holds this for as long as the disk takes.
    let disk = book.turn();
    let (tell, told) = std::sync::mpsc::channel();
    let looking = book.clone();
    std::thread::spawn(move || {
        let p = plugin("p");
        let owner = looking
            .of(&p)
            .owner("thing", "a")
            .map(|owner| owner.workload);
        let answer = looking.answer("x");
        tell.send((owner, answer, looking.nonces(&p, "wl_1").len()))
            .unwrap();
    });
    let seen = told.recv_timeout(std::time::Duration::from_secs(20));
    assert_eq!(seen.unwrap(), (Some("wl_1".to_owned()), None, 0));
    let (tell, told) = std::sync::mpsc::channel();
    let writing = book.clone();
    let writer = std::thread::spawn(move || {
        writing.learn(&thing("thing", "b", None)).unwrap();
        tell.send(()).unwrap();
    });
    assert!(told.try_recv().is_err());
    drop(disk);
    writer.join().unwrap();
    assert!(book.of(&plugin("p")).owner("thing", "b").is_some());
}
