//! A row of calls at their times, and what becomes of each.

use fleet_model::WorkloadId;

use super::*;

fn item(number: u128) -> ItemKey {
    ItemKey::workload(WorkloadId::new(1, number))
}

/// What a call at this time is to be, and what it is.
enum Then {
    Fails,
    Answers,
    /// Begins and ends without a word.
    Vanishes,
    /// Is refused, with this rest of the pause.
    Refused(u64),
}
use Then::{Answers, Fails, Refused, Vanishes};

fn play(budget: &mut Budget, calls: &[(u64, Then)]) {
    let item = item(1);
    for (now_ms, then) in calls {
        let begun = budget.begin(&item, *now_ms);
        let outcome = match then {
            Refused(rest) => {
                assert_eq!(begun.unwrap_err().retry_after_ms, *rest, "at {now_ms}");
                continue;
            }
            Fails => Outcome::Failed(format!("at {now_ms}")),
            Answers => Outcome::Answered,
            Vanishes => Outcome::Nothing,
        };
        budget.end(&item, begun.unwrap(), outcome, *now_ms);
    }
}

#[test]
fn five_in_a_row_begin_a_pause_and_four_do_not() {
    let table: [&[(u64, Then)]; 5] = [
        &[
            (0, Fails),
            (1, Fails),
            (2, Fails),
            (3, Fails),
            (4, Fails),
            (5, Refused(4_999)),
            (5_003, Refused(1)),
        ],
        // An answer in between begins the row anew.
        &[
            (0, Fails),
            (1, Fails),
            (2, Fails),
            (3, Fails),
            (4, Answers),
            (5, Fails),
            (6, Fails),
        ],
        // One that went away says nothing.
        &[
            (0, Fails),
            (1, Fails),
            (2, Vanishes),
            (3, Fails),
            (4, Fails),
            (5, Fails),
            (6, Refused(4_999)),
        ],
        // Five within a minute, the first of six not among them.
        &[
            (0, Fails),
            (30_000, Fails),
            (30_001, Fails),
            (60_000, Fails),
            (60_001, Fails),
            (60_002, Fails),
            (60_002, Refused(5_000)),
        ],
        &[
            (0, Fails),
            (20_000, Fails),
            (40_000, Fails),
            (60_000, Fails),
            (80_000, Fails),
            (100_000, Fails),
        ],
    ];
    for calls in table {
        play(&mut Budget::default(), calls);
    }
}

fn broken(at_ms: u64) -> Budget {
    let mut budget = Budget::default();
    for _ in 0..IN_A_ROW {
        play(&mut budget, &[(at_ms, Fails)]);
    }
    budget
}

#[test]
fn each_trial_that_fails_doubles_the_pause_up_to_a_minute() {
    let mut budget = broken(0);
    let mut now_ms = 0;
    for pause_ms in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
        play(&mut budget, &[(now_ms + 1, Refused(pause_ms - 1))]);
        now_ms += pause_ms;
        play(&mut budget, &[(now_ms, Fails)]);
    }
    let refusal = budget.check(&item(1), now_ms).unwrap_err();
    assert_eq!(refusal.failures, 11);
    assert_eq!(refusal.last, format!("at {now_ms}"));
}

#[test]
fn one_trial_at_a_time_and_an_answer_clears_all() {
    let mut budget = broken(0);
    let item = item(1);
    assert_eq!(budget.begin(&item, 5_000), Ok(Begun::Trial));
    assert_eq!(
        budget.check(&item, 5_001).unwrap_err().retry_after_ms,
        ASK_AGAIN_MS
    );
    assert!(budget.begin(&item, 5_001).is_err());
    // Its caller goes away: the next one may try.
    budget.end(&item, Begun::Trial, Outcome::Nothing, 5_002);
    assert_eq!(budget.begin(&item, 5_003), Ok(Begun::Trial));
    budget.end(&item, Begun::Trial, Outcome::Answered, 5_004);
    assert_eq!(budget.begin(&item, 5_005), Ok(Begun::Usual));
    assert!(budget.items.is_empty());
}

#[test]
fn what_began_before_the_pause_does_not_lengthen_it() {
    let mut budget = broken(0);
    let late = || Outcome::Failed("late".to_owned());
    for _ in 0..10 {
        budget.end(&item(1), Begun::Usual, late(), 100);
    }
    assert_eq!(
        budget.check(&item(1), 100).unwrap_err(),
        Refusal {
            failures: 15,
            last: "late".to_owned(),
            retry_after_ms: 4_900
        }
    );
    // Also while a trial is under way.
    budget.begin(&item(1), 5_000).unwrap();
    budget.end(&item(1), Begun::Usual, late(), 5_001);
    assert!(budget.begin(&item(1), 5_001).is_err());
}

#[test]
fn items_do_not_answer_for_each_other() {
    let mut budget = broken(0);
    assert!(budget.check(&item(1), 1).is_err());
    assert_eq!(budget.begin(&item(2), 1), Ok(Begun::Usual));
}

#[test]
fn memory_is_bounded_and_idle_items_are_forgotten() {
    let mut budget = Budget::default();
    let fail = |budget: &mut Budget, number: u128, now_ms| {
        let failed = Outcome::Failed(String::new());
        budget.end(&item(number), Begun::Usual, failed, now_ms);
    };
    for number in 0..10_000 {
        fail(&mut budget, number, 1_000 + u64::try_from(number).unwrap());
    }
    assert_eq!(budget.items.len(), MAX_ITEMS);
    assert!(
        !budget.items.contains_key(&item(0)) && budget.items.contains_key(&item(9_999)),
        "the oldest made room"
    );
    fail(&mut budget, 20_000, 1_000_000);
    assert_eq!(budget.items.len(), 1);
    // One in its pause is no idle one, until long after.
    let mut budget = broken(0);
    fail(&mut budget, 2, 300_000);
    assert_eq!(budget.items.len(), 2);
    fail(&mut budget, 3, FIRST_PAUSE_MS + FORGET_MS);
    assert_eq!(budget.items.keys().collect::<Vec<_>>(), [&item(3)]);
}
