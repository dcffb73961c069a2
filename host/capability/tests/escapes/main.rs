//! The corpora against the shipped policies, without any engine: what is refused and by which rule,
//! and what is sent for what is not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod weakened;
mod world;

use std::collections::BTreeSet;

use fleet_escapes::{Allowed, Attempt, Corpus, Expected};
use serde_json::Value;

use crate::world::World;

/// What is wrong with how an attempt was taken, if anything.
fn fault(world: &World, attempt: &Attempt) -> Option<String> {
    let refused = match world.decide(&attempt.asked, attempt.by_stranger, attempt.for_other) {
        Ok(allowed) => {
            return Some(format!(
                "allowed by `{}`: {:?}",
                allowed.rule(),
                allowed.outgoing
            ));
        }
        Err(refused) => refused,
    };
    let Expected::Refused(rule) = &attempt.expected else {
        return Some(format!("refused before it was asked: {refused:?}"));
    };
    if refused.rule != *rule {
        return Some(format!("expected {rule:?}: {refused:?}"));
    }
    // Each is an allowed request but for one thing: refused for another, it would show nothing.
    let is_there = attempt.at.hold(&refused.at);
    (!is_there).then(|| format!("expected at {:?}: {refused:?}", attempt.at))
}

/// What is wrong with what was made of a request that is allowed, if anything.
fn strange(world: &World, allowed: &Allowed) -> Option<String> {
    let verdict = match world.decide(&allowed.asked, false, false) {
        Ok(verdict) => verdict,
        Err(refused) => return Some(format!("{refused:?}")),
    };
    if verdict.rule() != allowed.rule {
        return Some(format!("allowed by `{}`", verdict.rule()));
    }
    let (line, body) = allowed.sends.as_ref()?;
    let outgoing = &verdict.outgoing;
    let sent = format!("{} {}", outgoing.method, outgoing.target());
    // Without an expected body there is none, but for one that is only completed.
    let is_body = (body.is_none() && allowed.asked.body.is_some()) || outgoing.body == *body;
    let is_fine = sent == *line && outgoing.headers.is_empty() && is_body;
    (!is_fine).then(|| format!("{sent}: {:?}", outgoing.body))
}

/// All that is not as the corpora say.
fn faults(world: &World, corpus: &Corpus) -> Vec<String> {
    let attempts = corpus.attempts.iter().filter(|attempt| is_pure(attempt));
    let refused = attempts.filter_map(|attempt| Some((&attempt.name, fault(world, attempt)?)));
    let allowed = corpus.allowed.iter();
    let sent = allowed.filter_map(|allowed| Some((&allowed.name, strange(world, allowed)?)));
    refused
        .chain(sent)
        .map(|(name, fault)| format!("{name}: {fault}"))
        .collect()
}

/// Whether it can be told without asking an engine.
fn is_pure(attempt: &Attempt) -> bool {
    attempt.is_pure && matches!(attempt.expected, Expected::Refused(_))
}

#[test]
fn every_attempt_is_refused_by_its_rule_and_what_is_allowed_is_sent_in_the_hosts_words() {
    let world = World::new();
    let corpus = Corpus::docker(&world.names);
    let faults = faults(&world, &corpus);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let refused = corpus
        .attempts
        .iter()
        .filter(|attempt| is_pure(attempt))
        .count();
    assert!(refused >= 60, "{refused}");
    println!(
        "{refused} attempts refused, {} requests allowed",
        corpus.allowed.len()
    );
}

/// A rule that no allowed request needs is one too many.
#[test]
fn every_rule_of_the_policy_is_needed() {
    let world = World::new();
    let corpus = Corpus::docker(&world.names);
    let used: BTreeSet<&str> = corpus.allowed.iter().map(|a| a.rule.as_str()).collect();
    let rules: BTreeSet<&str> = world.policy.rules().collect();
    assert_eq!(used, rules);
}

/// What is forced stands there whatever the plugin leaves out.
#[test]
fn the_least_container_is_confined_as_well() {
    let world = World::new();
    let corpus = Corpus::docker(&world.names);
    let body = |name: &str| -> Value {
        let allowed = corpus.allowed(name);
        let verdict = world.decide(&allowed.asked, false, false).unwrap();
        verdict.outgoing.body.unwrap()
    };
    let (most, least) = (body("container-create"), body("container-create-least"));
    let given = ["ReadonlyRootfs", "Init", "ShmSize", "Tmpfs", "Mounts"];
    for (key, value) in most["HostConfig"].as_object().unwrap() {
        match key.as_str() {
            "NetworkMode" => assert_eq!(least["HostConfig"][key], "bridge"),
            key if given.contains(&key) => assert!(least["HostConfig"].get(key).is_none(), "{key}"),
            key => assert_eq!(least["HostConfig"][key], *value, "{key}"),
        }
    }
    for label in ["host", "node", "workload", "generation", "attempt", "nonce"] {
        let label = format!("fleet.{label}");
        assert_eq!(least["Labels"][&label], most["Labels"][&label], "{label}");
    }
}
