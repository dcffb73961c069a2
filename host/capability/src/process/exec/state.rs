//! From what can be seen of a program beside a process to what is true of it. Pure.

use fleet_model::exec::ExecState;

use crate::process::ProcessState;
use crate::process::evidence::Evidence;

/// What became of it; `None` where nothing was ever started. Without its shim nobody will know how
/// it ends, also while it still runs.
pub(crate) fn of(evidence: &Evidence) -> Option<ExecState> {
    match evidence.state() {
        ProcessState::Prepared => None,
        ProcessState::Running if evidence.is_orphaned() => Some(ExecState::Lost {
            reason: "its keeper, which held its output, is gone".to_owned(),
        }),
        ProcessState::Running => Some(ExecState::Running),
        ProcessState::Exited(exit) => Some(ExecState::Exited {
            exit,
            timed_out: false,
        }),
        ProcessState::Lost(reason) => Some(ExecState::Lost { reason }),
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::driver::Exit;

    use super::*;
    use crate::boot::ProcessIdentity;
    use crate::process::evidence::ClaimSeen;
    use crate::process::record::{Claim, ExitRecord, Started};

    #[test]
    fn what_runs_needs_its_keeper() {
        let own = ProcessIdentity::own().unwrap();
        let boot = own.boot_id.clone();
        let claim = ClaimSeen::Read(Claim::Shim(Started {
            program: own.clone(),
            shim: own,
            at_ms: 5,
        }));
        let seen = |claim: &ClaimSeen, shim_lives, program_lives, code: Option<i32>| {
            of(&Evidence {
                claim: claim.clone(),
                shim_lives,
                program_lives,
                exit: code.map(|code| ExitRecord {
                    exit: Exit {
                        code,
                        ..Exit::default()
                    },
                    start_error: None,
                    oom: false,
                }),
                boot: boot.clone(),
            })
        };
        let is_lost = |state| matches!(state, Some(ExecState::Lost { .. }));
        let code = |state| match state {
            Some(ExecState::Exited { exit, .. }) => Some(exit.code),
            _ => None,
        };
        assert_eq!(seen(&ClaimSeen::None, false, false, None), None);
        assert_eq!(seen(&claim, true, true, None), Some(ExecState::Running));
        // It drains what the program left.
        assert_eq!(seen(&claim, true, false, None), Some(ExecState::Running));
        assert!(is_lost(seen(&claim, false, true, None)));
        assert!(is_lost(seen(&claim, false, false, None)));
        assert!(is_lost(seen(&ClaimSeen::Unreadable, false, false, None)));
        assert_eq!(code(seen(&claim, true, false, Some(3))), Some(3));
        assert_eq!(code(seen(&claim, false, false, Some(4))), Some(4));
        let withheld = ClaimSeen::Read(Claim::Host { at_ms: 9 });
        assert_eq!(code(seen(&withheld, false, false, None)), Some(137));
    }
}
