//! How patient a swap is.

use std::collections::BTreeMap;

use fleet_model::Name;

/// `[swap]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapSettings {
    /// What holds for a plugin that is not named.
    pub limits: SwapLimits,
    /// What holds for one that is.
    pub plugins: BTreeMap<Name, SwapLimits>,
    /// How long calls under way may take to end on the old code, in milliseconds. Then the new code is
    /// asked again under the same op.
    pub drain_ms: u64,
    /// How long a file must lie still before it is looked at, in milliseconds.
    pub settle_ms: u64,
    /// How often the folder is looked at without being told of a change, in milliseconds.
    pub rescan_ms: u64,
}

/// When new code has proven itself, and when it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwapLimits {
    /// How long it is on probation, in milliseconds; 0 = it is trusted at once.
    pub probation_ms: u64,
    /// How many traps, internal errors and broken limits are borne in that time. One more, and the
    /// last that had proven itself is put back.
    pub failures: u32,
}

impl Default for SwapLimits {
    fn default() -> Self {
        Self {
            probation_ms: 60_000,
            failures: 3,
        }
    }
}

impl Default for SwapSettings {
    fn default() -> Self {
        Self {
            limits: SwapLimits::default(),
            plugins: BTreeMap::new(),
            drain_ms: 5_000,
            settle_ms: 200,
            rescan_ms: 30_000,
        }
    }
}

impl SwapSettings {
    /// What holds for this plugin.
    pub(crate) fn of(&self, plugin: &Name) -> SwapLimits {
        self.plugins.get(plugin).copied().unwrap_or(self.limits)
    }
}
