//! What a plugin may touch, and how it is kept to it.
//!
//! A plugin never holds a file, a socket or a process. It names one through an import; this crate
//! does the deed under the operator's rules and hands out [`Source`]s, streams that the host reads
//! by itself. Here are programs ([`process`]), their captured output ([`log`]), the folders they
//! work in ([`workspace`]), the cgroups that hold them ([`cgroup`]) and services of the machine under a
//! policy ([`endpoint`]).
//!
//! All of it outlives the host: what is true about a process is on disk and in the kernel, never in
//! this crate's memory, so a host that starts again finds what the one before it left.

pub mod boot;
pub mod cgroup;
mod durable;
pub mod endpoint;
mod fault;
pub mod input;
pub mod log;
mod opening;
pub mod packets;
pub mod process;
mod removal;
mod ring;
pub mod secret;
pub mod source;
pub mod workspace;

pub use packets::{LocalSpools, PacketLimits, PacketSpools, Spooled, SpooledPacket};
pub use process::exec::key as exec_key;
pub use process::launcher::{Launcher, ResolvedProgram};
pub use process::local::{LocalProcesses, Options, ShimCommand};
pub use process::shim::points::{Claims, NoPoints, ShimPoint, ShimPoints};
pub use process::shim::{shim_main, shim_main_with};
pub use process::{
    Caller, ExecRequest, ListedProcess, Open, OutputOptions, Prepared, ProcessState, ProcessStatus,
    Processes, Request, Stdin,
};
pub use secret::{NoSecrets, Redactor, SecretValue, Secrets};
pub use source::{Frame, Input, Source, Stream};
pub use workspace::{Usage, WorkspaceFile, Workspaces};
