//! Has code that does not serve look around on this machine.

use std::sync::Arc;

use fleet_model::Error;
use fleet_model::driver::Fingerprint;

use crate::call::Call;
use crate::convert::from_guest;
use crate::gate::Gate;
use crate::generation::PluginGeneration;

/// What it finds, with imports that can only look.
pub(crate) async fn look_around(generation: &PluginGeneration) -> Result<Fingerprint, Error> {
    let scope: Arc<_> = generation.scope.read_only();
    let (callee, gate) = (&generation.callee, Gate::new());
    let place = callee.enter(&scope).await?;
    let answer = callee.driver(
        place,
        &gate,
        &scope,
        Call::look("fingerprint"),
        |store, guest| Box::pin(guest.call_fingerprint(store)),
    );
    let mut found = from_guest::fingerprint(scope.intake(), answer.await?);
    callee.template.keep_own_facts(&mut found);
    Ok(found)
}
