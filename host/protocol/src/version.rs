//! Who understands whom: a host speaks its own protocol version and the one before it.

use serde::{Deserialize, Serialize};

/// The versions one side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub min: u32,
    /// The newest.
    pub max: u32,
}

/// What this build speaks.
pub const SPOKEN: Versions = Versions { min: 1, max: 1 };

impl Versions {
    /// The newest version both sides speak.
    #[must_use]
    pub fn agree(self, other: Self) -> Option<u32> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_chosen() {
        let v = |min, max| Versions { min, max };
        for (a, b, want) in [
            (v(1, 1), v(1, 1), Some(1)),
            (v(1, 2), v(2, 3), Some(2)),
            (v(2, 3), v(1, 2), Some(2)),
            (v(1, 5), v(2, 4), Some(4)),
            (v(1, 1), v(2, 3), None),
        ] {
            assert_eq!(a.agree(b), want);
        }
    }
}
