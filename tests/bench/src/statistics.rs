//! Medians and spreads of what was measured, and ratios of what was measured in the same round.

use serde::{Deserialize, Serialize};

/// What one contestant took, one value per round, in the order of the rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Samples(pub(crate) Vec<f64>);

/// A median with its spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The middle of all values.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Samples {
    /// Median and spread; nothing where nothing was measured.
    #[must_use]
    pub(crate) fn summary(&self) -> Option<Summary> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let upper = sorted.len() / 2;
        let lower = sorted.len().saturating_sub(1) / 2;
        let (low, high) = (sorted.get(lower)?, sorted.get(upper)?);
        Some(Summary {
            median: f64::midpoint(*low, *high),
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }

    /// How much more than the other's value each of these is, round by round. Rounds that only one of them
    /// has are left out.
    #[must_use]
    pub(crate) fn minus(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(own, other)| own - other).collect())
    }

    /// The value that all but so large a part of these are at most: 0.01 is the 99th percentile. Nothing
    /// where nothing was measured.
    #[must_use]
    pub(crate) fn all_but(&self, part: f64) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let mut rest = sorted.len();
        while rest > 1 && (sorted.len() - rest + 1) as f64 <= part * sorted.len() as f64 {
            rest -= 1;
        }
        sorted.get(rest.checked_sub(1)?).copied()
    }

    /// How many times the other's value each of these is, round by round. Rounds that only one of
    /// them has, and rounds in which the other took nothing, are left out.
    #[must_use]
    pub(crate) fn times(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(
            pairs
                .filter(|(_, other)| **other > 0.0)
                .map(|(own, other)| own / other)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_outliers_only_widen_the_spread() {
        for (values, median, min, max) in [
            (&[3.0][..], 3.0, 3.0, 3.0),
            (&[4.0, 2.0], 3.0, 2.0, 4.0),
            (&[9.0, 1.0, 2.0], 2.0, 1.0, 9.0),
            (&[1.0, 1000.0, 2.0, 3.0], 2.5, 1.0, 1000.0),
        ] {
            let summary = Samples(values.to_vec()).summary().unwrap();
            assert_eq!(summary, Summary { median, min, max }, "{values:?}");
        }
        assert_eq!(Samples(Vec::new()).summary(), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was half as fast in the second round: the ratio does not move.
        let (ours, floor) = (
            Samples(vec![10.0, 20.0, 12.0]),
            Samples(vec![5.0, 10.0, 6.0]),
        );
        assert_eq!(ours.times(&floor), Samples(vec![2.0, 2.0, 2.0]));
    }

    #[test]
    fn a_percentile_leaves_out_the_largest_part_and_never_all() {
        let hundred = Samples((1..=100).map(f64::from).collect());
        for (part, expected) in [(0.0, 100.0), (0.01, 99.0), (0.5, 50.0), (1.0, 1.0)] {
            assert_eq!(hundred.all_but(part), Some(expected), "{part}");
        }
        assert_eq!(Samples(vec![7.0]).all_but(0.01), Some(7.0));
        assert_eq!(Samples(Vec::new()).all_but(0.01), None);
    }

    #[test]
    fn differences_are_taken_within_a_round() {
        let (ours, floor) = (Samples(vec![3.0, 5.0]), Samples(vec![1.0, 5.0, 9.0]));
        assert_eq!(ours.minus(&floor), Samples(vec![2.0, 0.0]));
    }

    #[test]
    fn rounds_without_a_partner_are_left_out() {
        let (long, short) = (Samples(vec![4.0, 4.0, 4.0]), Samples(vec![2.0, 0.0]));
        assert_eq!(long.times(&short), Samples(vec![2.0]));
        assert_eq!(short.times(&long), Samples(vec![0.5, 0.0]));
    }
}
