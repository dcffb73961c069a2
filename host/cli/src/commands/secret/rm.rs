//! `secret rm`.

use clap::Args;
use fleet_client::{ClientError, InUse};

use crate::app::Context;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Its name
    name: String,
    /// Also when workloads name it: they cannot be started any more
    #[arg(long)]
    force: bool,
}

/// Removes it.
pub(crate) async fn run(args: &RmArgs, context: &mut Context) -> Result<(), Failure> {
    let in_use = if args.force {
        InUse::Remove
    } else {
        InUse::Keep
    };
    let removed = context.client()?.remove_secret(&args.name, in_use).await;
    let secret = removed.map_err(|error| refused(&args.name, error))?;
    context
        .output
        .answer(&secret, || format!("removed secret {}\n", secret.name))
}

fn refused(name: &str, error: ClientError) -> Failure {
    let is_used = matches!(&error, ClientError::Api { error, .. } if error.code == "secret-in-use");
    let failure = Failure::from(error);
    if is_used {
        failure.help(format!(
            "`fleet-host secret rm {name} --force` removes it all the same"
        ))
    } else {
        failure
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::Error;

    use super::*;

    #[test]
    fn a_secret_in_use_says_how_it_goes_all_the_same() {
        let of = |code: &str| {
            let error = Error::conflict(code, "used by web");
            refused("key", ClientError::Api { status: 409, error })
        };
        let used = of("secret-in-use");
        assert_eq!((used.exit as u8, used.message.as_str()), (4, "used by web"));
        assert!(used.help.unwrap().contains("secret rm key --force"));
        assert_eq!(of("other").help, None);
    }
}
