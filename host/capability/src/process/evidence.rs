//! From what can be seen of a process to what is true of it. Pure.

use fleet_model::driver::Exit;

use super::ProcessState;
use super::record::{Claim, ExitRecord, Started};
use crate::boot::BootId;

/// What can be seen of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) claim: ClaimSeen,
    pub(crate) shim_lives: bool,
    pub(crate) program_lives: bool,
    pub(crate) exit: Option<ExitRecord>,
    pub(crate) boot: BootId,
}

/// What the claim says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimSeen {
    None,
    /// It is there and cannot be understood.
    Unreadable,
    Read(Claim),
}

impl Evidence {
    /// What is true of the process.
    pub(crate) fn state(&self) -> ProcessState {
        if let Some(record) = &self.exit {
            return ProcessState::Exited(record.exit.clone());
        }
        match &self.claim {
            ClaimSeen::None => ProcessState::Prepared,
            ClaimSeen::Unreadable => ProcessState::Lost(
                "its start was claimed, and nothing was recorded of it".to_owned(),
            ),
            ClaimSeen::Read(Claim::Host { at_ms }) => ProcessState::Exited(Exit {
                code: 137,
                signal: Some("KILL".to_owned()),
                at_ms: Some(*at_ms),
            }),
            // A shim whose program is gone is still collecting output and stragglers.
            ClaimSeen::Read(Claim::Shim(_)) if self.shim_lives || self.program_lives => {
                ProcessState::Running
            }
            ClaimSeen::Read(Claim::Shim(started)) if started.shim.boot_id != self.boot => {
                ProcessState::Lost("the machine restarted while it ran".to_owned())
            }
            ClaimSeen::Read(Claim::Shim(_)) => ProcessState::Lost(
                "it is gone, and so is the shim that would have recorded how".to_owned(),
            ),
        }
    }

    /// Who runs it or ran it.
    pub(crate) fn started(&self) -> Option<&Started> {
        match &self.claim {
            ClaimSeen::Read(Claim::Shim(started)) => Some(started),
            _ => None,
        }
    }

    /// Whether it runs without anyone who will record its end.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.program_lives && !self.shim_lives
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::ProcessIdentity;

    fn evidence() -> Evidence {
        let own = ProcessIdentity::own().unwrap();
        let boot = own.boot_id.clone();
        let started = Started {
            program: own.clone(),
            shim: own,
            at_ms: 5,
        };
        Evidence {
            claim: ClaimSeen::Read(Claim::Shim(started)),
            shim_lives: true,
            program_lives: true,
            exit: None,
            boot,
        }
    }

    #[test]
    fn every_combination_has_one_answer() {
        let exited = Exit {
            code: 3,
            ..Exit::default()
        };
        let record = ExitRecord {
            exit: exited.clone(),
            start_error: None,
            oom: false,
        };
        let other_boot: BootId = serde_json::from_str("\"other\"").unwrap();
        let gone = Evidence {
            shim_lives: false,
            program_lives: false,
            ..evidence()
        };
        let is_lost = |state: ProcessState| matches!(state, ProcessState::Lost(_));

        assert_eq!(evidence().state(), ProcessState::Running);
        assert_eq!(
            Evidence {
                program_lives: false,
                ..evidence()
            }
            .state(),
            ProcessState::Running
        );
        let orphan = Evidence {
            shim_lives: false,
            ..evidence()
        };
        assert_eq!(orphan.state(), ProcessState::Running);
        assert!(orphan.is_orphaned());
        assert!(is_lost(gone.state()));
        assert!(is_lost(
            Evidence {
                boot: other_boot,
                ..gone.clone()
            }
            .state()
        ));
        assert_eq!(
            Evidence {
                exit: Some(record.clone()),
                ..gone.clone()
            }
            .state(),
            ProcessState::Exited(exited.clone())
        );
        assert_eq!(
            Evidence {
                exit: Some(record),
                ..evidence()
            }
            .state(),
            ProcessState::Exited(exited)
        );
        assert_eq!(
            Evidence {
                claim: ClaimSeen::None,
                ..gone.clone()
            }
            .state(),
            ProcessState::Prepared
        );
        assert!(is_lost(
            Evidence {
                claim: ClaimSeen::Unreadable,
                ..gone.clone()
            }
            .state()
        ));
        let withheld = Evidence {
            claim: ClaimSeen::Read(Claim::Host { at_ms: 9 }),
            ..gone
        };
        assert!(matches!(
            withheld.state(),
            ProcessState::Exited(Exit {
                code: 137,
                at_ms: Some(9),
                ..
            })
        ));
    }
}
