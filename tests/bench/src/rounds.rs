//! Rounds: every contestant has its turn in each, so that whatever the machine is doing meanwhile
//! happens to all of them.
//!
//! The order moves on by one from round to round, so that nobody always follows the one that
//! warms or spoils the caches. A first turn of each is thrown away.

use crate::Result;
use crate::finding::{Role, Series};
use crate::statistics::Samples;

/// Somebody who is measured: one turn gives one value per metric.
pub(crate) struct Contestant<'a, const METRICS: usize> {
    name: String,
    role: Role,
    turn: Box<dyn FnMut() -> Result<[f64; METRICS]> + 'a>,
}

impl<'a, const METRICS: usize> Contestant<'a, METRICS> {
    /// A contestant of several metrics.
    pub(crate) fn new(
        role: Role,
        name: impl Into<String>,
        turn: impl FnMut() -> Result<[f64; METRICS]> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            role,
            turn: Box::new(turn),
        }
    }
}

/// Runs one turn of each that is thrown away, then the rounds. One list of series per metric, each
/// in the contestants' order.
///
/// # Errors
/// When a turn fails, naming whose.
pub(crate) fn interleave<const METRICS: usize>(
    rounds: usize,
    mut contestants: Vec<Contestant<'_, METRICS>>,
) -> Result<[Vec<Series>; METRICS]> {
    let mut taken: Vec<Vec<[f64; METRICS]>> = vec![Vec::new(); contestants.len()];
    for round in 0..=rounds {
        let shown = if round == 0 {
            "warming up".to_owned()
        } else {
            format!("round {round} of {rounds}")
        };
        for index in order(contestants.len(), round) {
            let (Some(contestant), Some(taken)) =
                (contestants.get_mut(index), taken.get_mut(index))
            else {
                continue;
            };
            eprintln!("  {shown}: {}", contestant.name);
            let values =
                (contestant.turn)().map_err(|error| format!("{}: {error}", contestant.name))?;
            if round > 0 {
                taken.push(values);
            }
        }
    }
    Ok(std::array::from_fn(|metric| {
        let of = |(contestant, taken): (&Contestant<'_, METRICS>, &Vec<[f64; METRICS]>)| Series {
            name: contestant.name.clone(),
            role: contestant.role,
            samples: Samples(
                taken
                    .iter()
                    .filter_map(|values| values.get(metric).copied())
                    .collect(),
            ),
        };
        contestants.iter().zip(&taken).map(of).collect()
    }))
}

/// Whose turn comes when, in a round.
fn order(contestants: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..contestants).map(move |turn| (turn + round) % contestants)
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn each_has_one_turn_a_round_and_nobody_is_always_first() {
        let said = RefCell::new(String::new());
        let speaker = |name: &'static str| {
            let said = &said;
            Contestant::new(Role::Context, name, move || {
                said.borrow_mut().push_str(name);
                Ok([1.0])
            })
        };
        interleave(3, vec![speaker("a"), speaker("b"), speaker("c")]).unwrap();
        assert_eq!(*said.borrow(), "abcbcacababc");
    }

    #[test]
    fn the_first_turn_is_thrown_away_and_metrics_stay_apart() {
        let count = Cell::new(0.0);
        let turn = || {
            count.set(count.get() + 1.0);
            Ok([count.get(), 10.0 * count.get()])
        };
        let [one, ten] = interleave(2, vec![Contestant::new(Role::Ours, "x", turn)]).unwrap();
        assert_eq!(one[0].samples, Samples(vec![2.0, 3.0]));
        assert_eq!(ten[0].samples, Samples(vec![20.0, 30.0]));
        assert_eq!((one[0].name.as_str(), one[0].role), ("x", Role::Ours));
    }

    #[test]
    fn a_failing_turn_names_its_contestant() {
        let error = interleave::<1>(
            1,
            vec![Contestant::new(Role::Floor, "loop", || Err("no".into()))],
        );
        assert_eq!(error.unwrap_err().to_string(), "loop: no");
    }
}
