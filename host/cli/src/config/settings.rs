//! The file's shape, and what a host makes of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use fleet_model::Name;
use fleet_plugin::{Ceiling, SwapSettings};
use serde::{Deserialize, Deserializer, de};
use tracing_subscriber::EnvFilter;

use super::swap::Swap;

/// Which parts of the host run in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// A controller and a node.
    #[default]
    All,
    /// A controller.
    #[value(hide = true)]
    Controller,
    /// A node.
    #[value(hide = true)]
    Node,
}

impl Role {
    /// The word as it is written everywhere.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Controller => "controller",
            Self::Node => "node",
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// `fleet-host.toml`. Everything may be absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Document {
    pub(super) role: Option<Role>,
    pub(super) data: Option<PathBuf>,
    pub(super) listen: Option<Listen>,
    pub(super) grants: Option<PathBuf>,
    pub(super) policy_trace: Option<PathBuf>,
    pub(super) cache: Option<PathBuf>,
    pub(super) heartbeat: Option<Span>,
    pub(super) plugins: Plugins,
    pub(super) swap: Swap,
    pub(super) ceiling: Option<Ceiling>,
    pub(super) log: Log,
}

/// `[plugins]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Plugins {
    pub(super) dir: Option<PathBuf>,
    pub(super) required: Vec<Name>,
    pub(super) settings: BTreeMap<Name, serde_json::Value>,
}

/// `[log]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) level: Option<Level>,
    pub(super) format: LogFormat,
}

/// An address to listen on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listen(SocketAddr);

/// A duration as people write it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(Duration);

/// A filter for log lines.
#[derive(Debug, Clone)]
pub(super) struct Level(String);

impl Span {
    /// In milliseconds.
    pub(super) fn as_ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let expected = || {
            format!(
                "`{text}` is not an address to listen on: expected ADDRESS:PORT, as in 127.0.0.1:7300"
            )
        };
        // One name is understood, for it always means this machine.
        let numeric = text
            .strip_prefix("localhost:")
            .map(|port| format!("127.0.0.1:{port}"));
        numeric
            .as_ref()
            .unwrap_or(&text)
            .parse()
            .map(Self)
            .map_err(|_| de::Error::custom(expected()))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::time::duration(&text)
            .map(Self)
            .map_err(|error| de::Error::custom(format!("`{text}` is not a duration: {error}")))
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let expected = "expected off, error, warn, info, debug or trace, or per part as in warn,fleet_node=debug";
        // The filter takes any word for a part's name; a word alone should be a level.
        let words = ["off", "error", "warn", "info", "debug", "trace"];
        let known = text
            .split(',')
            .all(|part| part.contains('=') || words.contains(&part.trim()));
        if known && EnvFilter::try_new(&text).is_ok() {
            return Ok(Self(text));
        }
        Err(de::Error::custom(format!(
            "`{text}` is not a log level: {expected}"
        )))
    }
}

/// What is in force.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(all(feature = "controller", feature = "node")),
    expect(dead_code, reason = "for a host of both")
)]
pub(crate) struct Settings {
    /// Which parts run.
    pub(crate) role: Role,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Where the API listens.
    pub(crate) listen: SocketAddr,
    /// The grants file; absent = the one in the data folder, written if it is not there.
    pub(crate) grants: Option<PathBuf>,
    /// Where what plugins asked of endpoints is written; absent = nowhere.
    pub(crate) policy_trace: Option<PathBuf>,
    /// Where compiled components are kept; absent = in the data folder.
    pub(crate) cache: Option<PathBuf>,
    /// How often a node speaks.
    pub(crate) heartbeat: Duration,
    /// The plugin folder; there is no default.
    pub(crate) plugins: Option<PathBuf>,
    /// Plugins the host is not ready without.
    pub(crate) required: Vec<Name>,
    /// Settings of plugins.
    pub(crate) plugin_settings: BTreeMap<Name, serde_json::Value>,
    /// How patient a swap is.
    pub(crate) swap: SwapSettings,
    /// What no grant exceeds.
    pub(crate) ceiling: Option<Ceiling>,
    /// A filter for log lines.
    pub(crate) log_level: String,
    /// How they are written.
    pub(crate) log_format: LogFormat,
}

/// The default of `heartbeat`.
pub(super) const HEARTBEAT: &str = "5s";
/// The default of `log.level`.
pub(super) const LEVEL: &str = "warn";

impl Settings {
    /// How often a node speaks, in milliseconds.
    #[cfg(feature = "controller")]
    pub(crate) fn heartbeat_ms(&self) -> u64 {
        u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX)
    }

    /// What is in force where the document says nothing else.
    pub(super) fn of(document: Document, data: PathBuf) -> Self {
        let Document {
            role,
            listen,
            grants,
            policy_trace,
            cache,
            heartbeat,
            plugins,
            swap,
            ceiling,
            log,
            data: _,
        } = document;
        Self {
            role: role.unwrap_or_default(),
            data,
            listen: listen.map_or(DEFAULT_LISTEN, |Listen(address)| address),
            grants,
            policy_trace,
            cache,
            heartbeat: heartbeat.map_or(Duration::from_secs(5), |Span(span)| span),
            plugins: plugins.dir,
            required: plugins.required,
            plugin_settings: plugins.settings,
            swap: swap.settings(),
            ceiling,
            log_level: log
                .level
                .map_or_else(|| LEVEL.to_owned(), |Level(level)| level),
            log_format: log.format,
        }
    }
}

/// The default of `listen`; [`crate::connect::DEFAULT_LISTEN`] is where commands look for it.
const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7300);
