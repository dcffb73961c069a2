//! Where a test may end this process: at a moment of a swap, as a power failure would.

use std::sync::Arc;

use fleet_plugin::{KillAt, NoPoints, SwapPoints};

use crate::environment::Environment;
use crate::failure::Failure;

/// Names the moment: `durable`, or `durable:3` for the third time.
const VARIABLE: &str = "FLEET_TEST_SWAP_KILL";

/// What goes along with the swaps of this process: nothing, unless a test says so.
pub(super) fn points(environment: &Environment) -> Result<Arc<dyn SwapPoints>, Failure> {
    let Some(text) = environment.text(VARIABLE) else {
        return Ok(Arc::new(NoPoints));
    };
    match text.parse::<KillAt>() {
        Ok(kill) => Ok(Arc::new(kill)),
        Err(error) => Err(Failure::usage(format!("{VARIABLE}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_there_is_not_is_refused() {
        assert!(points(&Environment::default()).is_ok());
        assert!(points(&Environment::of([(VARIABLE, "durable:2")])).is_ok());
        let failure = points(&Environment::of([(VARIABLE, "noon")]))
            .err()
            .unwrap();
        assert!(failure.message.starts_with(VARIABLE), "{failure:?}");
    }
}
