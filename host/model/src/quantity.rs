//! Quantities with their unit: `90s`, `64MiB`, `0.5` of a processor.
//!
//! People write them and read them, so a unit is always there and a bare number is refused, but
//! for processors, which have no other unit.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not a quantity; says what would be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a length of time.
    #[error(
        "`{0}` is not a length of time: write a number and a unit, as in `90s`, `15m`, `1h 30m` or `7d`"
    )]
    Span(String),
    /// Not a number of bytes.
    #[error(
        "`{0}` is not a size: write a number and a unit, as in `512KiB`, `64MiB`, `2GiB` (or `64M`, which means the same) or `1000B`"
    )]
    Size(String),
    /// Not a share of processors.
    #[error(
        "`{0}` is not a number of processors: write how many may be used at once, as in `0.5` or `2`, from 0.01 to 1024"
    )]
    Cpu(String),
}

/// A length of time, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Span {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }
}

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let no = || QuantityError::Span(shown(text));
        let span = humantime::parse_duration(text.trim()).map_err(|_| no())?;
        u64::try_from(span.as_millis()).map(Self).map_err(|_| no())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = humantime::format_duration(Duration::from_millis(self.0)).to_string();
        f.pad(&text)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// Units, the largest first: what is written in front is what is shown.
const UNITS: [(&str, &str, u64); 4] = [
    ("TiB", "T", 1 << 40),
    ("GiB", "G", 1 << 30),
    ("MiB", "M", 1 << 20),
    ("KiB", "K", 1 << 10),
];

impl Size {
    /// So many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let no = || QuantityError::Size(shown(text));
        let trimmed = text.trim();
        let at = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(no)?;
        let (number, unit) = trimmed.split_at(at);
        let number: u64 = number.parse().map_err(|_| no())?;
        let unit = unit.trim_start();
        let factor = UNITS
            .iter()
            .find(|(long, short, _)| {
                unit.eq_ignore_ascii_case(long) || unit.eq_ignore_ascii_case(short)
            })
            .map(|(_, _, factor)| *factor)
            .or_else(|| unit.eq_ignore_ascii_case("B").then_some(1))
            .ok_or_else(no)?;
        number.checked_mul(factor).map(Self).ok_or_else(no)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS
            .iter()
            .find(|(_, _, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        let text = match exact {
            Some((unit, _, factor)) => format!("{}{unit}", self.0 / factor),
            None => format!("{}B", self.0),
        };
        f.pad(&text)
    }
}

/// How many processors may be used at once, in thousandths of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(u32);

impl Cpu {
    /// The least, in thousandths: what the kernel can hold a group to.
    const LEAST: f64 = 10.0;
    /// The most, in thousandths.
    const MOST: f64 = 1_024_000.0;

    /// In thousandths of a processor.
    #[must_use]
    pub const fn as_millis(self) -> u32 {
        self.0
    }

    /// From a number of processors.
    ///
    /// # Errors
    /// Below 0.01 or above 1024.
    pub fn from_processors(processors: f64) -> Result<Self, QuantityError> {
        let millis = (processors * 1_000.0).round();
        if (Self::LEAST..=Self::MOST).contains(&millis) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within the bounds just checked"
            )]
            return Ok(Self(millis as u32));
        }
        Err(QuantityError::Cpu(processors.to_string()))
    }

    /// As a number of processors.
    #[must_use]
    pub fn as_processors(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

impl FromStr for Cpu {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        text.trim()
            .parse::<f64>()
            .map_err(|_| QuantityError::Cpu(shown(text)))
            .and_then(Self::from_processors)
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.as_processors().to_string())
    }
}

impl Serialize for Cpu {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_processors())
    }
}

impl<'de> Deserialize<'de> for Cpu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let processors = f64::deserialize(deserializer)?;
        Self::from_processors(processors).map_err(serde::de::Error::custom)
    }
}

macro_rules! text {
    ($name:ident, $what:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}
text!(Span, "a length of time with its unit, as in \"90s\"");
text!(Size, "a size with its unit, as in \"64MiB\"");

/// An error text stays readable whatever was typed.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_back_as_they_are_shown() {
        for (text, bytes, shown) in [
            ("0B", 0, "0B"),
            ("1000B", 1_000, "1000B"),
            ("1024 b", 1_024, "1KiB"),
            ("64M", 64 << 20, "64MiB"),
            ("64 mib", 64 << 20, "64MiB"),
            ("2GiB", 2 << 30, "2GiB"),
            ("1536MiB", 1_536 << 20, "1536MiB"),
            ("3T", 3 << 40, "3TiB"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.as_bytes(), size.to_string().as_str()), (bytes, shown));
            assert_eq!(shown.parse::<Size>().unwrap(), size);
        }
        for bad in ["", "64", "M", "-1M", "1.5G", "64MB", "99999999T", "1 M B"] {
            let error = bad.parse::<Size>().unwrap_err();
            assert!(error.to_string().contains("64MiB"), "{bad}: {error}");
        }
    }

    #[test]
    fn spans_read_back_as_they_are_shown() {
        for (text, ms, shown) in [
            ("90s", 90_000, "1m 30s"),
            ("250ms", 250, "250ms"),
            ("1h30m", 5_400_000, "1h 30m"),
            ("7d", 604_800_000, "7days"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.as_ms(), span.to_string().as_str()), (ms, shown));
            assert_eq!(shown.parse::<Span>().unwrap(), span);
        }
        for bad in ["", "90", "soon", "-5s", "1 fortnight"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn processors_are_numbers_within_reason() {
        for (json, millis) in [
            ("0.5", 500),
            ("2", 2_000),
            ("0.01", 10),
            ("1024", 1_024_000),
        ] {
            let cpu: Cpu = serde_json::from_str(json).unwrap();
            assert_eq!(cpu.as_millis(), millis);
            assert_eq!(
                serde_json::from_str::<Cpu>(&serde_json::to_string(&cpu).unwrap()).unwrap(),
                cpu
            );
        }
        for bad in ["0", "-1", "0.001", "1025", "1e99"] {
            assert!(serde_json::from_str::<Cpu>(bad).is_err(), "{bad}");
        }
        assert!("NaN".parse::<Cpu>().is_err());
    }

    #[test]
    fn a_number_without_a_unit_says_what_to_write() {
        let error = serde_json::from_str::<Span>("5").unwrap_err().to_string();
        assert!(error.contains("\"90s\""), "{error}");
    }
}
