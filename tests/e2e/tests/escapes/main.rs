//! The ways out, tried against a real engine: through the endpoint capability under the shipped policy,
//! beside containers of others. None may have any effect.
//!
//! `tests/escapes` holds the requests; `host/capability/tests/escapes` plays them against the policy
//! alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod confined;
mod forgeries;
mod races;
mod witness;
mod world;

use fleet_escapes::{Attempt, Corpus, Expected};
use fleet_model::{Error, ErrorKind};

use crate::world::{CANARY, Came, World, other, own};

/// What is wrong with how an attempt came out, if anything.
fn fault(attempt: &Attempt, came: Result<Came, Error>) -> Option<String> {
    let error = match came {
        Ok(Came::Answer(answer)) => return Some(format!("it was answered: {answer:?}")),
        Ok(Came::Stream(first)) => return Some(format!("a stream was opened: {first:?}")),
        Err(error) => error,
    };
    if error.to_string().contains(CANARY) {
        return Some(format!("the refusal tells too much: {error}"));
    }
    let detail = |name: &str| error.details.get(name).cloned();
    match &attempt.expected {
        Expected::Refused(rule) => {
            let code = if rule.is_some() {
                "refused-by-rule"
            } else {
                "no-rule"
            };
            let is_fine = error.kind == ErrorKind::Denied
                && error.code == code
                && detail("rule") == *rule
                && detail("at").is_some_and(|at| attempt.at.hold(&at));
            (!is_fine).then(|| format!("expected {code} by {rule:?}: {error:?}"))
        }
        Expected::Denied(code) => {
            (error.code != *code).then(|| format!("expected {code}: {error:?}"))
        }
    }
}

/// What an attempt sends to the engine: nothing, but for a look at what cannot be told without one.
fn sends(attempt: &Attempt) -> Vec<String> {
    match &attempt.expected {
        Expected::Denied(code) if code == "not-adoptable" => {
            let asked = &attempt.asked;
            vec![format!("{} {} HTTP/1.1", asked.method, asked.path)]
        }
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn nothing_comes_of_any_attempt_at_a_real_engine() {
    let Some(world) = World::new().await else {
        return;
    };
    let corpus = Corpus::docker(&world.names);
    let before = world.state();
    assert!(!world.witness.heard().is_empty(), "the witness hears");
    let mut faults = Vec::new();
    // By what they are after: a look at everything takes longer than a refusal.
    let topic = |attempt: &Attempt| attempt.name.split('/').next().unwrap().to_owned();
    for attempts in corpus.attempts.chunk_by(|a, b| topic(a) == topic(b)) {
        for attempt in attempts {
            let whose = if attempt.for_other { other() } else { own() };
            let came = world.play(&attempt.asked, attempt.by_stranger, whose).await;
            let fault = fault(attempt, came);
            faults.extend(fault.map(|fault| format!("{}: {fault}", attempt.name)));
            let heard = world.witness.heard();
            if heard != sends(attempt) {
                faults.push(format!("{}: the engine was asked {heard:?}", attempt.name));
            }
        }
        let after = world.state();
        for (what, before) in before.as_object().unwrap() {
            if after[what] != *before {
                let now = &after[what];
                faults.push(format!(
                    "one of {} changed {what}: {before} {now}",
                    topic(&attempts[0])
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let refused: u64 = world
        .endpoints
        .verdicts()
        .iter()
        .filter(|((.., verdict), _)| *verdict != "allowed")
        .map(|(_, count)| count)
        .sum();
    let by_policy = corpus
        .attempts
        .iter()
        .filter(|attempt| match &attempt.expected {
            Expected::Refused(_) => true,
            Expected::Denied(code) => code == "not-adoptable",
        });
    assert_eq!(refused, by_policy.count() as u64, "each is counted");
    println!("{} attempts at a real engine", corpus.attempts.len());
}

#[tokio::test]
async fn what_is_allowed_works_and_tells_of_nobody_else() {
    let Some(world) = World::new().await else {
        return;
    };
    let corpus = Corpus::docker(&world.names);
    for allowed in corpus.allowed.iter().filter(|allowed| allowed.asks_engine) {
        let name = &allowed.name;
        let came = world.play(&allowed.asked, false, own()).await;
        let said = match came.unwrap_or_else(|error| panic!("{name}: {error:?}")) {
            Came::Answer(answer) => {
                assert!(answer.status < 400, "{name}: {answer:?}");
                String::from_utf8(answer.body).unwrap()
            }
            Came::Stream(first) => String::from_utf8_lossy(&first.unwrap_or_default()).into_owned(),
        };
        assert!(!said.contains(CANARY), "{name}: {said}");
        assert!(!said.contains(world.names.get("foreign")), "{name}: {said}");
        for hidden in ["Env", "fleet.nonce", "Mounts", "GraphDriver"] {
            assert!(!said.contains(hidden), "{name}: {hidden} in {said}");
        }
    }
}
