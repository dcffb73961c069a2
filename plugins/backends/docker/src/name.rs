//! The name of a container: `fleet-WORKLOAD-GENERATION-ATTEMPT`.
//!
//! The policy of the endpoint gives it, by the same words. One op of `create` has one name, so an engine
//! makes at most one container for it however often it is asked.

use fleet_sdk::Op;

/// The name of what this op makes.
pub(crate) fn of(op: &Op, workload: &str) -> String {
    format!("fleet-{workload}-{}-{}", op.generation, op.attempt)
}

/// The id of the container that has a name already, from the engine's refusal to give it to another.
pub(crate) fn holder(refusal: &str) -> Option<String> {
    let is_id = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    refusal.split('"').find(is_id).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_name_is_read_from_the_refusal() {
        let id = "c0ffee".repeat(11).get(..64).unwrap().to_owned();
        // As Docker 20.10 says it.
        let said = format!(
            "Conflict. The container name \"/fleet-wl_1-7-2\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
        );
        assert_eq!(holder(&said), Some(id));
        for other in ["", "Conflict", "in use by \"c0ffee\"", "is \"not\" here"] {
            assert_eq!(holder(other), None);
        }
    }

    #[test]
    fn it_tells_generation_and_attempt() {
        let op = Op {
            id: "workload/wl_1@7.2:create#".to_owned(),
            item: "workload/wl_1".to_owned(),
            generation: 7,
            attempt: 2,
            verb: "create".to_owned(),
            call: String::new(),
        };
        assert_eq!(of(&op, "wl_1"), "fleet-wl_1-7-2");
    }
}
