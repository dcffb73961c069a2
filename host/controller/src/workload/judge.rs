//! Judges a spec against everything that is known: all reasons at once, and where it would go.

use fleet_model::Error;
use fleet_model::workload::WorkloadSpec;

use super::admit;
use super::names::taken;
use crate::controller::Inner;
use crate::placement::{Plan, Wish, candidates, plan};
use crate::state::ControllerState;

/// What is to be said of a spec.
pub(super) struct Judgement<'a> {
    /// Why it is not accepted; none = it is.
    pub(super) reasons: Vec<Error>,
    /// Where it goes, and why not to the other nodes.
    pub(super) plan: Plan<'a>,
}

impl Inner {
    /// Judges a spec.
    pub(super) fn judge<'a>(
        &self,
        state: &'a ControllerState,
        spec: &WorkloadSpec,
    ) -> Judgement<'a> {
        let mut reasons = admit::spec(spec);
        reasons.extend(admit::secrets(spec, state));
        let plan = plan(&Wish::of(spec), candidates(state, &self.registry, spec));
        reasons.extend(plan.refusal(&spec.backend));
        // Also where no node can take it now, its config may be wrong.
        if let Some(plugin) = plan.plugin() {
            reasons.extend(self.schemas.judge(spec, plugin));
        }
        reasons.extend(spec.name.as_ref().and_then(|name| taken(state, name)));
        Judgement { reasons, plan }
    }
}
