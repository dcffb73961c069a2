//! `plugin unquarantine`.

use clap::Args;
use fleet_client::QuarantinedOn;

use super::ls::short;
use crate::app::Context;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct UnquarantineArgs {
    /// Its SHA-256, or the first 8 digits and more; `plugin show NAME` lists what is in quarantine
    digest: String,
}

/// Lets it in again. Nothing is swapped by this.
pub(crate) async fn run(args: &UnquarantineArgs, context: &mut Context) -> Result<(), Failure> {
    let page = context.client()?.unquarantine(&args.digest).await?;
    context.output.answer(&page, || people(&page.items))
}

fn people(allowed: &[QuarantinedOn]) -> String {
    let line = |one: &QuarantinedOn| {
        let component = &one.component;
        format!(
            "{} {} ({}) may be swapped in again on {}\n",
            component.plugin,
            component.version,
            short(&component.digest),
            one.node
        )
    };
    allowed.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_let_in_again_is_named() {
        let one = json!({"node": "attic", "plugin": "mock", "digest": "0123456789abcdef", "version": "0.2.0",
                         "at_ms": 1, "reason": "failed 4 times"});
        assert_eq!(
            people(&[serde_json::from_value(one).unwrap()]),
            "mock 0.2.0 (0123456789ab) may be swapped in again on attic\n"
        );
    }
}
