//! Figures for people: three digits, a unit that fits, the spread behind the median.

use crate::finding::{Series, Unit};
use crate::statistics::Summary;

/// `12.3 µs (11.9–14.0)`.
pub(super) fn series(series: &Series, unit: Unit) -> String {
    let Some(summary) = series.samples.summary() else {
        return "nothing".to_owned();
    };
    let (scale, name) = scale(summary.median, unit);
    let spread = if summary.min < summary.max {
        format!(
            " ({}–{})",
            digits(summary.min / scale),
            digits(summary.max / scale)
        )
    } else {
        String::new()
    };
    format!("{} {name}{spread}", digits(summary.median / scale))
}

/// `1.94 × (1.90–2.01)`.
pub(super) fn ratio(summary: Summary) -> String {
    format!(
        "{} × ({}–{})",
        digits(summary.median),
        digits(summary.min),
        digits(summary.max)
    )
}

/// A single value in its unit.
pub(super) fn value(value: f64, unit: Unit) -> String {
    let (scale, name) = scale(value, unit);
    format!("{} {name}", digits(value / scale))
}

/// What to divide by, and what the result is called.
fn scale(value: f64, unit: Unit) -> (f64, &'static str) {
    match unit {
        Unit::Seconds if value >= 1.0 => (1.0, "s"),
        Unit::Seconds if value >= 1e-3 => (1e-3, "ms"),
        Unit::Seconds if value >= 1e-6 => (1e-6, "µs"),
        Unit::Seconds => (1e-9, "ns"),
        Unit::Bytes => (1e6, "MB"),
    }
}

/// Three significant digits.
pub(super) fn digits(value: f64) -> String {
    match value.abs() {
        large if large >= 99.95 => format!("{value:.0}"),
        middle if middle >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Role;
    use crate::statistics::Samples;

    #[test]
    fn values_have_three_digits_and_a_unit_that_fits() {
        for (given, unit, expected) in [
            (12.345e-6, Unit::Seconds, "12.3 µs"),
            (85e-9, Unit::Seconds, "85.0 ns"),
            (0.030, Unit::Seconds, "30.0 ms"),
            (1.5, Unit::Seconds, "1.50 s"),
            (163.0, Unit::Seconds, "163 s"),
            (37e6, Unit::Bytes, "37.0 MB"),
        ] {
            assert_eq!(value(given, unit), expected);
        }
    }

    #[test]
    fn the_spread_has_the_unit_of_the_median() {
        let many = |samples: &[f64]| Series {
            name: String::new(),
            role: Role::Ours,
            samples: Samples(samples.to_vec()),
        };
        assert_eq!(
            series(&many(&[9e-4, 2e-3, 3e-3]), Unit::Seconds),
            "2.00 ms (0.90–3.00)"
        );
        assert_eq!(series(&many(&[2e6]), Unit::Bytes), "2.00 MB");
        assert_eq!(series(&many(&[]), Unit::Bytes), "nothing");
    }
}
