//! `[swap]`: how patient a host is with a new version of a plugin.

use std::collections::BTreeMap;

use fleet_model::Name;
use fleet_plugin::{SwapLimits, SwapSettings};
use serde::Deserialize;
use toml::Value;

use super::settings::Span;

/// The table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Swap {
    probation: Option<Span>,
    failures: Option<u32>,
    drain: Option<Span>,
    settle: Option<Span>,
    rescan: Option<Span>,
    plugins: BTreeMap<Name, Proving>,
}

/// What holds for one plugin.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Proving {
    probation: Option<Span>,
    failures: Option<u32>,
}

impl Swap {
    /// What a host makes of it.
    pub(super) fn settings(self) -> SwapSettings {
        let usual = SwapSettings::default();
        let ms = |span: Option<Span>, usual: u64| span.map_or(usual, Span::as_ms);
        let limits = |proving: Proving, usual: SwapLimits| SwapLimits {
            probation_ms: ms(proving.probation, usual.probation_ms),
            failures: proving.failures.unwrap_or(usual.failures),
        };
        let general = Proving {
            probation: self.probation,
            failures: self.failures,
        };
        let general = limits(general, usual.limits);
        let plugins = self.plugins.into_iter();
        SwapSettings {
            limits: general,
            plugins: plugins
                .map(|(name, proving)| (name, limits(proving, general)))
                .collect(),
            drain_ms: ms(self.drain, usual.drain_ms),
            settle_ms: ms(self.settle, usual.settle_ms),
            rescan_ms: ms(self.rescan, usual.rescan_ms),
        }
    }
}

/// A default as it would be written.
pub(super) fn default(key: &str) -> Option<Value> {
    let usual = SwapSettings::default();
    let span = |ms: u64| {
        let text = if ms.is_multiple_of(1_000) {
            format!("{}s", ms / 1_000)
        } else {
            format!("{ms}ms")
        };
        Some(Value::String(text))
    };
    match key {
        "swap.probation" => span(usual.limits.probation_ms),
        "swap.failures" => Some(Value::Integer(usual.limits.failures.into())),
        "swap.drain" => span(usual.drain_ms),
        "swap.settle" => span(usual.settle_ms),
        "swap.rescan" => span(usual.rescan_ms),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SwapSettings {
        toml::from_str::<Swap>(text).unwrap().settings()
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        assert_eq!(read(""), SwapSettings::default());
    }

    #[test]
    fn a_plugin_has_what_is_said_of_it_and_the_rest_of_all() {
        let settings = read(
            "probation = \"2m\"\ndrain = \"50ms\"\n[plugins.docker]\nfailures = 9\n[plugins.mock]\nprobation = \"0s\"\n",
        );
        assert_eq!(settings.drain_ms, 50);
        let of = |name: &str| {
            let limits = settings.plugins[&name.parse::<Name>().unwrap()];
            (limits.probation_ms, limits.failures)
        };
        let usual = SwapSettings::default().limits;
        assert_eq!(of("docker"), (120_000, 9));
        assert_eq!(of("mock"), (0, usual.failures));
    }
}
