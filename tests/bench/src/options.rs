//! What can be chosen.

use std::path::PathBuf;

use clap::Parser;

/// Rounds of a full run.
const ROUNDS: usize = 9;
/// Rounds of a quick one.
const QUICK_ROUNDS: usize = 3;

/// Measures the product against its floor and its peers.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo xtask bench")]
pub(crate) struct Options {
    /// Only these benchmarks: `P1,P4`
    #[arg(long, value_delimiter = ',', value_name = "IDS")]
    pub(crate) only: Vec<String>,
    /// How often each contestant has its turn [default: 9, with --quick 3]
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<usize>,
    /// A smoke run: few rounds, small sizes, and nothing is written to docs/
    #[arg(long)]
    pub(crate) quick: bool,
    /// First put the peers that are missing into TARGET/bench/peers, from PyPI and npm
    #[arg(long)]
    pub(crate) install: bool,
    /// The host's binary
    #[arg(long, value_name = "FILE", default_value = "target/release/fleet-host")]
    pub(crate) host: PathBuf,
    /// The folder of the shipped plugins
    #[arg(long, value_name = "DIR", default_value = "target/plugins")]
    pub(crate) plugins: PathBuf,
    /// The folder of the next versions of the shipped plugins
    #[arg(long, value_name = "DIR", default_value = "target/next-plugins")]
    pub(crate) next: PathBuf,
    /// The gRPC peer's program
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/bench-grpc/release/fleet-bench-grpc"
    )]
    pub(crate) grpc: PathBuf,
    /// The component that calls its host
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/bench-guest/wasm32-wasip2/release/fleet_bench_guest.wasm"
    )]
    pub(crate) guest: PathBuf,
    /// Where the benchmarks work and peers are kept
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub(crate) work: PathBuf,
    /// Where benchmarks.json and benchmarks.md are written
    #[arg(long, value_name = "DIR", default_value = "docs")]
    pub(crate) docs: PathBuf,
}

/// How large the benchmarks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// As the goals say.
    Full,
    /// To see that they work.
    Quick,
}

impl Options {
    /// How large.
    #[must_use]
    pub(crate) fn size(&self) -> Size {
        if self.quick { Size::Quick } else { Size::Full }
    }

    /// How many rounds.
    #[must_use]
    pub(crate) fn rounds(&self) -> usize {
        let default = match self.size() {
            Size::Full => ROUNDS,
            Size::Quick => QUICK_ROUNDS,
        };
        self.rounds.unwrap_or(default).max(1)
    }

    /// Whether this benchmark was asked for.
    #[must_use]
    pub(crate) fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only.eq_ignore_ascii_case(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        Options::try_parse_from(words).unwrap()
    }

    #[test]
    fn only_names_benchmarks_and_their_absence_means_all() {
        let some = options("--only P1,p4");
        assert!(some.wants("P1") && some.wants("P4") && !some.wants("P11"));
        assert!(options("").wants("P11"));
    }

    #[test]
    fn rounds_follow_the_size_unless_they_are_named() {
        for (line, rounds) in [
            ("", 9),
            ("--quick", 3),
            ("--quick --rounds 5", 5),
            ("--rounds 0", 1),
        ] {
            assert_eq!(options(line).rounds(), rounds, "{line}");
        }
    }
}
