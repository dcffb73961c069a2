//! Making a process a shim.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::io::Errno;
use rustix::process::{Signal, getpid, set_child_subreaper, setsid};

use crate::process::signals;

/// Closes all but stdin, stdout and stderr. Whoever started the host may have left it more, and a
/// program that outlives both must not hold on to those. Nothing of the shim's own is open yet.
pub(super) fn close_inherited() -> io::Result<()> {
    let entries = std::fs::read_dir("/proc/self/fd")?;
    let open: Vec<i32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one that listed them is among them, and closed by now.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// Makes the shim deaf to everything that can be caught, and gives a stream on which a byte comes
/// whenever a child ended. Handlers that do nothing, rather than ignoring: a program must not
/// inherit deafness, and handlers end at its exec.
pub(super) fn handle_signals() -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    write.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(Signal::CHILD.as_raw(), write)?;
    let deaf = Arc::new(AtomicBool::new(false));
    for signal in signals::catchable().filter(|signal| *signal != Signal::CHILD.as_raw()) {
        signal_hook::flag::register(signal, deaf.clone())?;
    }
    Ok(read)
}

/// Leaves the host's session and folder, and becomes the parent of all orphans below.
pub(super) fn detach(folder: &Path) -> io::Result<()> {
    match setsid() {
        // It leads a group already, so the host did not start it; it is on its own all the same.
        Ok(_) | Err(Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    set_child_subreaper(Some(getpid()))?;
    std::env::set_current_dir(folder)
}

/// Lets go of the pipes to the host.
pub(super) fn release_stdio() {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}
