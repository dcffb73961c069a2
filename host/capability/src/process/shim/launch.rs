//! The shim's side of a start: the waiting child, and the claim.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;

use fleet_model::Error;
use rustix::fs::{Mode, OFlags};

use super::message::{ExecOrder, Streams};
use super::own;
use super::points::{Claims, ShimPoint, ShimPoints};
use super::waiting::Waiting;
use crate::cgroup::group;
use crate::fault;
use crate::process::Stdin;
use crate::process::record::{Claim, RequestRecord};
use crate::process::slot::Slot;
use crate::secret::wire::Carried;

/// A child that waits for the word, in a slot that this shim has claimed.
pub(super) struct Launched {
    pub(super) waiting: Waiting,
    /// The way into the program's stdin, if it has one.
    pub(super) commands: Option<File>,
    /// The slot's FIFO: whoever reads it sees it end when this process ends.
    _end: OwnedFd,
}

impl Launched {
    /// Makes the child and claims the slot; `None` when it was claimed before.
    pub(super) fn claim(
        slot: &Slot,
        request: &RequestRecord,
        env: BTreeMap<String, Carried>,
        points: &dyn ShimPoints,
    ) -> Result<Option<Self>, Error> {
        points.reach(ShimPoint::BeforeClaim);
        let workspace = slot
            .workspace()
            .map_err(|error| own("find its workspace", &error))?;
        group::apply(&request.settings)
            .map_err(|error| own("hold the program to its limits", &error))?;
        let order = ExecOrder {
            program: request.program.path.clone(),
            command: request.request.command.clone(),
            env,
            workspace,
            groups: request.placement.groups(),
            streams: Streams::Pipes,
        };
        // Before the claim: whoever sees the claim can rely on the FIFO. Open for reading too, so
        // that it opens without a reader.
        let end = rustix::fs::open(slot.end(), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| fault::storage("open", &slot.end(), &error.into()))?;
        let mut waiting =
            Waiting::spawn(Streams::Pipes).map_err(|error| own("start a child", &error))?;
        let commands = match request.request.stdin {
            Stdin::Pipe => {
                let pipe = waiting.open_stdin();
                Some(pipe.map_err(|error| own("make a pipe", &error))?)
            }
            Stdin::Null => None,
        };
        waiting
            .make_ready(&order)
            .map_err(|error| too_little_memory(request).unwrap_or(error))?;
        points.reach(ShimPoint::ChildReady);
        let claimed = slot
            .claim(&Claim::Shim(waiting.identify()?))
            .map_err(|error| fault::storage("claim", slot.folder(), &error))?;
        if !claimed && points.claims() == Claims::Honoured {
            return Ok(None);
        }
        points.reach(ShimPoint::AfterClaim);
        Ok(Some(Self {
            waiting,
            commands,
            _end: end,
        }))
    }
}

/// What to say where even the waiting child was killed for want of memory.
fn too_little_memory(request: &RequestRecord) -> Option<Error> {
    let limit = request.request.limits.memory?;
    request.placement.saw_oom_kill().then(|| {
        Error::invalid(
            "memory-limit-too-small",
            format!("nothing can run in {limit} of memory: raise the limit `memory`"),
        )
    })
}

/// The shim's clock: no host is there to pass one in.
pub(super) fn unix_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}
