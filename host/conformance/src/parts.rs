//! Who plays the parts: what the manifest says, else shell commands.

use std::collections::BTreeMap;

use fleet_plugin::Conformance;
use fleet_plugin::conformance::{ExecPart, ExecRole, Part, Role};

/// The parts of one backend.
#[derive(Debug, Clone)]
pub(crate) struct Parts(Conformance);

impl Parts {
    pub(crate) fn new(conformance: Conformance) -> Self {
        Self(conformance)
    }

    /// The workload that plays this.
    pub(crate) fn workload(&self, role: Role) -> Part {
        let mut part = self.0.workload.get(&role).cloned().unwrap_or_default();
        if part.command.is_empty() {
            part.command = shell(workload_script(role));
        }
        part
    }

    /// The program beside a workload that plays this.
    pub(crate) fn exec(&self, role: ExecRole) -> ExecPart {
        let written = self.0.exec.get(&role);
        written.cloned().unwrap_or_else(|| ExecPart {
            command: match role {
                ExecRole::Prints => shell("echo out 1; echo err 1 >&2; echo out 2; exit 3"),
                ExecRole::Long => shell("echo ready; exec sleep 86400"),
                ExecRole::Reads => vec!["cat".to_owned()],
                ExecRole::Missing => vec!["fleet-host-conformance-no-such-program".to_owned()],
            },
            env: BTreeMap::new(),
        })
    }
}

/// What a shell runs where a manifest says nothing.
fn workload_script(role: Role) -> &'static str {
    match role {
        Role::Long => "exec sleep 86400",
        Role::Short => "exit 0",
        Role::Fails => "exit 3",
        Role::Prints => {
            "for n in 1 2 3; do echo out $n; done; for n in 1 2; do echo err $n >&2; done; sleep 1; echo out 4"
        }
        // What is ignored stays ignored in the program that takes the shell's place.
        Role::Ignores => "trap '' TERM; echo ready; exec sleep 86400",
        Role::Reads => "while read -r line; do echo \"got $line\"; done; exec sleep 86400",
        // Quietly: a shell tells on stderr of the child that the signal ended.
        Role::Traps => {
            "exec 2>/dev/null; trap 'echo got USR1' USR1; echo ready; while :; do sleep 1; done"
        }
    }
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_casts_its_own_and_a_shell_plays_the_rest() {
        let text = "[workload.short]\ncommand = [\"true\"]\n[workload.fails]\nconfig = { image = \"a\" }\n\
                    [exec.reads]\ncommand = [\"tee\"]";
        let parts = Parts::new(toml::from_str(text).unwrap());
        assert_eq!(parts.workload(Role::Short).command, ["true"]);
        assert_eq!(parts.workload(Role::Fails).command, ["sh", "-c", "exit 3"]);
        assert_eq!(parts.exec(ExecRole::Reads).command, ["tee"]);
        assert_eq!(parts.exec(ExecRole::Prints).command.len(), 3);
    }
}
