//! Ids that say what they are: a short prefix, an underscore, a ULID in lower case.
//!
//! Whoever makes an id passes the time and the random bits in, so that a simulation makes the
//! same ids for the same seed. Ids of one kind sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// Text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what} id: expected `{prefix}_` and 26 characters")]
pub struct ParseIdError {
    text: String,
    what: &'static str,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub struct $name(Ulid);

        impl $name {
            /// What every id of this kind starts with, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id from a Unix time in milliseconds and 80 random bits (the rest is cut off).
            #[must_use]
            pub fn new(unix_ms: u64, random: u128) -> Self {
                Self(Ulid::from_parts(unix_ms, random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0.to_string().to_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map(Self)
                    .filter(|id| id.to_string() == text)
                    .ok_or_else(|| ParseIdError { text: text.to_owned(), what: $what, prefix: $prefix })
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

id!(/// One workload, for as long as anything of it exists.
    WorkloadId, "wl", "workload");
id!(/// One node: a machine, or one `run` on a machine.
    NodeId, "nd", "node");
id!(/// One store, made when its database is made; a restore keeps it and raises the incarnation.
    StoreId, "st", "store");
id!(/// One start of a host process.
    RunId, "rn", "run");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_sorts_by_time() {
        let early = WorkloadId::new(1_000, 7);
        let late = WorkloadId::new(2_000, 1);
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse::<WorkloadId>().unwrap(), early);
        assert!(early.to_string().starts_with("wl_"));
    }

    #[test]
    fn another_kind_upper_case_and_garbage_are_refused() {
        let text = WorkloadId::new(1, 1).to_string();
        assert!(text.parse::<NodeId>().is_err());
        assert!(text.to_uppercase().parse::<WorkloadId>().is_err());
        assert!(text[..20].parse::<WorkloadId>().is_err());
        assert!("wl_".parse::<WorkloadId>().is_err());
    }
}
