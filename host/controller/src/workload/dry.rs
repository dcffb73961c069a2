//! What would become of a spec, without anything becoming of it.

use fleet_model::Error;
use fleet_model::workload::WorkloadSpec;
use serde::Serialize;
use utoipa::ToSchema;

use super::judge::Judgement;
use crate::Reason;
use crate::controller::Inner;
use crate::placement;
use crate::secret;
use crate::state::ControllerState;

/// The answer to a dry run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Admission {
    /// Whether it would be accepted.
    admitted: bool,
    /// Every reason why not; `details.pointer` says where in the body (RFC 6901).
    reasons: Vec<Reason>,
    /// The name of the node it would go to.
    #[schema(required)]
    node: Option<String>,
    /// Every node, and why it would not go there.
    placement: Vec<NodeVerdict>,
    /// What would not keep it from being accepted, and may surprise.
    warnings: Vec<Reason>,
    /// What would be kept.
    spec: WorkloadSpec,
}

/// What a dry run says of one node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodeVerdict {
    /// The node's name.
    node: String,
    /// Whether it would go there.
    chosen: bool,
    /// Why not.
    #[schema(required)]
    reason: Option<String>,
}

impl Inner {
    /// Judges a spec and changes nothing.
    pub(crate) fn try_workload(&self, spec: WorkloadSpec) -> Admission {
        let snapshot = self.store.snapshot();
        let Judgement { reasons, plan } = self.judge(&snapshot.state, &spec);
        let warnings = self.warnings(&snapshot.state, &spec, plan.place);
        let placement = plan.verdicts.iter().map(|verdict| NodeVerdict {
            node: verdict.node.name.clone(),
            chosen: verdict.why_not.is_none(),
            reason: verdict.why_not.as_ref().map(ToString::to_string),
        });
        Admission {
            admitted: reasons.is_empty(),
            reasons: reasons.iter().map(Reason::from).collect(),
            node: plan.place.map(|place| place.node.name.clone()),
            placement: placement.collect(),
            warnings,
            spec,
        }
    }

    fn warnings(
        &self,
        state: &ControllerState,
        spec: &WorkloadSpec,
        place: Option<placement::Place<'_>>,
    ) -> Vec<Reason> {
        let rows = spec.secrets().into_iter();
        let mut warnings: Vec<Error> = rows
            .filter_map(|name| secret::trouble(&self.options.sealing_key, state.secrets.get(name)?))
            .collect();
        // One missing key is one warning, however many secrets it sealed.
        warnings.dedup();
        let limits = spec.limits.kernel();
        if let Some(place) = place
            && !limits.is_empty()
            && placement::holds(place.plugin).is_none()
        {
            let message = format!(
                "backend `{}` on node {} does not say whether it can hold a workload to a limit of {}: it may not",
                spec.backend,
                place.node.name,
                limits.join(", ")
            );
            warnings.push(Error::invalid("limits-unknown", message).with("pointer", "/limits"));
        }
        warnings.iter().map(Reason::from).collect()
    }
}
