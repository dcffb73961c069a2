//! Seals, keys, and who is told what.

use std::collections::BTreeSet;

use fleet_model::id::NodeId;
use fleet_model::item::Revision;
use fleet_model::{Name, StoreId};
use fleet_protocol::message::SecretAnswer;
use fleet_seam::SeededEntropy;
use serde_json::json;
use zeroize::Zeroizing;

use super::seal::{open, seal};
use super::{SealingKey, answers};
use crate::state::SecretRow;
use crate::tests::support::{Bench, NOW_MS, key};

fn store() -> StoreId {
    StoreId::new(NOW_MS, 1)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn sealed(at: &str, value: &[u8], seed: u64) -> SecretRow {
    let entropy = SeededEntropy::new(seed);
    let value = Zeroizing::new(value.to_vec());
    SecretRow {
        name: name(at),
        sealed: seal(&key(1), &entropy, store(), &name(at), value).unwrap(),
        revision: Revision(1),
        created_at_ms: 1,
        changed_at_ms: 1,
    }
}

#[test]
fn what_is_sealed_opens_and_is_never_the_same_twice() {
    for value in [&b"x"[..], &[0, 255, 10], &[7; 64 * 1024]] {
        let row = sealed("db", value, 5);
        assert_eq!(*open(&Ok(key(1)), store(), &row).unwrap(), value);
        assert_ne!(row.sealed.sealed, sealed("db", value, 6).sealed.sealed);
        let read: SecretRow = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        assert_eq!(read, row);
    }
}

#[test]
fn a_seal_opens_at_its_own_place_with_its_own_key_and_undamaged_and_else_says_why() {
    let row = sealed("db", b"hunter2", 5);
    let renamed = SecretRow {
        name: name("other"),
        ..row.clone()
    };
    let bent = |bend: fn(&mut SecretRow)| {
        let mut row = row.clone();
        bend(&mut row);
        row
    };
    let here = store();
    let missing = SealingKey::missing("there is no file x/secret.key");
    for (key, store, row, code, says) in [
        (
            Ok(key(1)),
            here,
            renamed,
            "secret-damaged",
            "secret set other",
        ),
        (
            Ok(key(1)),
            StoreId::new(NOW_MS, 2),
            row.clone(),
            "secret-damaged",
            "secret set db",
        ),
        (
            Ok(key(1)),
            here,
            bent(|row| row.sealed.sealed.replace_range(0..1, "A")),
            "secret-damaged",
            "set",
        ),
        (
            Ok(key(1)),
            here,
            bent(|row| row.sealed.sealed.truncate(8)),
            "secret-damaged",
            "set",
        ),
        (
            Ok(key(1)),
            here,
            bent(|row| row.sealed.nonce.replace_range(0..1, "A")),
            "secret-damaged",
            "set",
        ),
        (
            Ok(key(1)),
            here,
            bent(|row| row.sealed.nonce.clear()),
            "secret-damaged",
            "set",
        ),
        (
            Ok(key(2)),
            here,
            row.clone(),
            "wrong-sealing-key",
            "put the other key back",
        ),
        (
            Err(missing),
            here,
            row.clone(),
            "no-sealing-key",
            "x/secret.key",
        ),
    ] {
        let error = open(&key, store, &row).unwrap_err();
        assert_eq!(error.code, code);
        assert!(error.message.contains(says), "{error}");
        assert!(!error.message.contains("hunter2"));
    }
    // The bends above were bends.
    assert!(!row.sealed.sealed.starts_with('A') && !row.sealed.nonce.starts_with('A'));
}

#[test]
fn a_key_reads_back_from_its_text_and_what_is_none_is_refused_unseen() {
    let key = key(1);
    let text = key.to_text();
    assert_eq!((text.len(), text.ends_with('\n')), (65, true));
    assert_eq!(text.capacity(), 65);
    let read = SealingKey::from_text(&text).unwrap();
    assert_eq!(read.bytes(), key.bytes());
    assert_eq!(
        SealingKey::from_text(&text.to_uppercase()).unwrap().bytes(),
        key.bytes()
    );
    assert_eq!(read.fingerprint().len(), 16);
    assert_ne!(
        read.fingerprint(),
        crate::tests::support::key(2).fingerprint()
    );
    assert!(!text.contains(&read.fingerprint()));
    assert_eq!(format!("{read:?}"), "SealingKey(***)");
    for bad in [
        "",
        "abc",
        &text[..63],
        &format!("{}0", text.trim()),
        &"g".repeat(64),
        &"ü".repeat(32),
    ] {
        let error = SealingKey::from_text(bad).unwrap_err();
        assert_eq!(error.code, "invalid-sealing-key");
        assert!(bad.is_empty() || !error.message.contains(bad));
    }
}

#[tokio::test]
async fn a_node_is_told_what_its_own_workloads_name_in_messages_that_can_be_sent() {
    let bench = Bench::new().await;
    let node = bench.node().await;
    let large = "v".repeat(64 * 1024);
    let names: BTreeSet<Name> = (0..64).map(|number| name(&format!("s{number}"))).collect();
    for name in &names {
        bench.secret(name.as_str(), &large).await;
    }
    let env = |from: usize| -> serde_json::Value {
        let some = names.iter().skip(from).enumerate();
        some.map(|(number, name)| (format!("E{number}"), json!({"secret": name})))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let body = json!({"name": "all", "backend": "mock", "env": env(0)});
    assert_eq!(
        bench.ask("POST", "/api/v1/workloads", body).await.status,
        201
    );
    let ask = |node: NodeId, names: BTreeSet<Name>| {
        let snapshot = bench.store.snapshot();
        answers(&snapshot.state, store(), &Ok(key(1)), node, names)
    };
    // All that a workload may name is one message, which the link takes.
    let parts = ask(node.hello.node, names.clone());
    assert_eq!(parts.len(), 1);
    assert_eq!(Vec::from_iter(parts[0].keys()), Vec::from_iter(&names));
    assert!(serde_json::to_vec(&parts[0]).unwrap().len() < fleet_protocol::link::MAX_FRAME_BYTES);
    assert!(
        parts[0]
            .values()
            .all(|answer| matches!(answer, SecretAnswer::Set { .. }))
    );
    // Another node has no workload that names them, and nobody has a secret that is not there.
    let others = ask(NodeId::new(1, 9), names.clone());
    assert!(
        others[0]
            .values()
            .all(|answer| *answer == SecretAnswer::Unset)
    );
    let unknown = ask(node.hello.node, [name("nobody")].into());
    assert_eq!(unknown[0][&name("nobody")], SecretAnswer::Unset);
    assert_eq!(ask(node.hello.node, BTreeSet::new()), [Default::default()]);
    // A question about more is answered in parts.
    for number in 64..128 {
        bench.secret(&format!("s{number}"), &large).await;
    }
    let all: BTreeSet<Name> = (0..128).map(|number| name(&format!("s{number}"))).collect();
    let more: Vec<_> = all.difference(&names).cloned().collect();
    let env: serde_json::Map<_, _> = (0..)
        .zip(more)
        .map(|(number, name)| (format!("E{number}"), json!({"secret": name})))
        .collect();
    let body = json!({"name": "more", "backend": "mock", "env": env});
    assert_eq!(
        bench.ask("POST", "/api/v1/workloads", body).await.status,
        201
    );
    let parts = ask(node.hello.node, all.clone());
    assert!(parts.len() > 1);
    assert_eq!(
        parts.iter().map(|part| part.len()).sum::<usize>(),
        all.len()
    );
    let is_sendable =
        |part| serde_json::to_vec(part).unwrap().len() < fleet_protocol::link::MAX_FRAME_BYTES;
    assert!(parts.iter().all(is_sendable));
}
