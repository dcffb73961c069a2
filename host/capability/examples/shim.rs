//! The shim alone, as the tests run it: `shim SLOT`.
//!
//! Three variables make it misbehave: `SHIM_CRASH` = `POINT:N` kills it when it comes to that point
//! for the Nth time, and `SHIM_CRASHED` names the file that says it did; with that file there it is
//! not killed again. `SHIM_CLAIMS` = `ignored` makes it pass over claims.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::ExitCode;

use fleet_capability::{Claims, ShimPoint, ShimPoints, shim_main_with};
use rustix::process::{Signal, getpid, kill_process};

struct Points {
    point: Option<String>,
    left: Cell<u32>,
    crashed: PathBuf,
    claims: Claims,
}

impl ShimPoints for Points {
    fn reach(&self, point: ShimPoint) {
        if self.point.as_deref() != Some(point.as_str()) {
            return;
        }
        self.left.set(self.left.get().saturating_sub(1));
        let mut mark = OpenOptions::new();
        if self.left.get() == 0
            && mark
                .write(true)
                .create_new(true)
                .open(&self.crashed)
                .is_ok()
        {
            let _ = kill_process(getpid(), Signal::KILL);
            std::thread::park();
        }
    }

    fn claims(&self) -> Claims {
        self.claims
    }
}

fn main() -> ExitCode {
    let crash = std::env::var("SHIM_CRASH").unwrap_or_default();
    let (point, count) = crash.split_once(':').unwrap_or_default();
    let is_ignored = std::env::var_os("SHIM_CLAIMS").is_some_and(|claims| claims == "ignored");
    let points = Points {
        point: (!point.is_empty()).then(|| point.to_owned()),
        left: Cell::new(count.parse().unwrap_or(1)),
        crashed: std::env::var_os("SHIM_CRASHED").unwrap_or_default().into(),
        claims: if is_ignored {
            Claims::Ignored
        } else {
            Claims::Honoured
        },
    };
    let slot = PathBuf::from(std::env::args_os().nth(1).unwrap_or_default());
    shim_main_with(&slot, &points)
}
