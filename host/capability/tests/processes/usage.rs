//! What a process and all beside it use.

use fleet_capability::Processes;
use fleet_model::ErrorKind;
use fleet_model::stats::Usage;

use crate::exec_harness::script;
use crate::harness::{BOTH, Host, Run, caller, until, within};

impl Run<'_> {
    async fn usage(&self) -> Usage {
        let processes = &self.host.processes;
        within(processes.usage(&caller(), &self.reference))
            .await
            .unwrap()
    }

    /// Looks until it is so.
    async fn uses(&self, is_so: impl Fn(&Usage) -> bool) -> Usage {
        within(async {
            loop {
                let usage = self.usage().await;
                if is_so(&usage) {
                    return usage;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        })
        .await
    }
}

#[tokio::test]
async fn what_is_used_grows_with_what_is_done() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let text = "echo ready > ready; while [ ! -e go ]; do sleep 0.02; done; \
            head -c 20971520 /dev/zero | tail -c 20971520 > /dev/null & \
            while [ ! -e over ]; do :; done";
        let run = host.script(text).await;
        let refused = host.processes.usage(&caller(), &run.reference).await;
        assert_eq!(
            refused.unwrap_err().kind,
            ErrorKind::NotFound,
            "it does not run yet"
        );
        run.start().await;
        run.file("ready").await;
        let before = run.usage().await;
        assert!(before.memory_bytes.unwrap() > 0 && before.processes.unwrap() >= 1);
        std::fs::write(run.workspace().join("go"), "").unwrap();
        let after = run
            .uses(|usage| usage.cpu_us.unwrap() > before.cpu_us.unwrap() + 300_000)
            .await;
        assert!(after.read_bytes.is_some() && after.written_bytes.is_some());
        // A program beside it counts.
        let alone = after.processes.unwrap();
        let beside = run
            .exec("a", script("sleep 60 & sleep 61 & sleep 62 & wait"))
            .await;
        run.uses(|usage| usage.processes.unwrap() >= alone.min(1) + 4)
            .await;
        beside.remove().await;
        run.uses(|usage| usage.processes.unwrap() <= 2).await;
        std::fs::write(run.workspace().join("over"), "").unwrap();
        run.exit().await;
        let refused = host.processes.usage(&caller(), &run.reference).await;
        let error = refused.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::NotFound, "not-running")
        );
    }
}

#[tokio::test]
async fn what_is_written_to_the_disk_is_counted() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let text = "echo ready > ready; head -c 4194304 /dev/zero > large; sync large; echo > done; \
            while [ ! -e over ]; do sleep 0.02; done";
        let run = host.script(text).await;
        run.start().await;
        until(|| run.workspace().join("done").exists().then_some(())).await;
        let usage = run.usage().await;
        assert!(usage.written_bytes.unwrap() >= 4_194_304, "{usage:?}");
        run.kill().await;
    }
}
