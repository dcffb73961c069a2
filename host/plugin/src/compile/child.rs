//! The parent's side of a compilation: start the child, wait, say why it failed.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::worker::{CPU_SECONDS, MEMORY_BYTES};

/// How long a child may take, whatever it does.
const WALL: Duration = Duration::from_mins(10);
/// How much of what it says is kept.
const MAX_MESSAGE: u64 = 4 * 1024;

/// How a compiling child is started: `program args... IN OUT`, which must end in
/// [`compile_main`](super::compile_main).
#[derive(Debug, Clone)]
pub struct CompileCommand {
    /// The program: the host itself.
    pub program: PathBuf,
    /// What comes before the two files.
    pub args: Vec<OsString>,
}

/// Has `input` compiled to `output`.
///
/// # Errors
/// The reason, for people.
pub(super) async fn compile(
    command: &CompileCommand,
    input: &Path,
    output: &Path,
) -> Result<(), String> {
    let mut child = Command::new(&command.program)
        .args(&command.args)
        .arg(input)
        .arg(output)
        .env_clear()
        // Few threads and few heaps, so that the limit on memory means the same on every machine.
        .env("RAYON_NUM_THREADS", "4")
        .env("MALLOC_ARENA_MAX", "4")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            format!(
                "cannot start the compiler {}: {error}",
                command.program.display()
            )
        })?;
    let stderr = child.stderr.take();
    let read = async {
        let mut message = Vec::new();
        if let Some(mut stderr) = stderr {
            // What cannot be read is missing from a message.
            let _ = (&mut stderr)
                .take(MAX_MESSAGE)
                .read_to_end(&mut message)
                .await;
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        }
        message
    };
    let finished = tokio::time::timeout(WALL, async { tokio::join!(child.wait(), read) }).await;
    let Ok((status, message)) = finished else {
        return Err(format!("compiling it took more than {} s", WALL.as_secs()));
    };
    let status = status.map_err(|error| format!("cannot wait for the compiler: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(explain(status, &String::from_utf8_lossy(&message)))
    }
}

/// Why a child failed.
fn explain(status: ExitStatus, message: &str) -> String {
    const SIGKILL: i32 = 9;
    const SIGABRT: i32 = 6;
    const SIGXCPU: i32 = 24;
    let message = message.trim();
    match (status.code(), status.signal()) {
        (Some(_), _) if !message.is_empty() => format!("it does not compile: {message}"),
        (_, Some(SIGXCPU | SIGKILL)) => {
            format!("compiling it took more than {CPU_SECONDS} s of processor time")
        }
        (_, Some(SIGABRT)) if message.contains("memory allocation") => {
            format!(
                "compiling it took more than {} MiB of memory",
                MEMORY_BYTES >> 20
            )
        }
        _ => format!("the compiler failed ({status}): {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_a_child_has_its_reason() {
        for (raw, message, want) in [
            (1 << 8, "bad section\n", "it does not compile: bad section"),
            (1 << 8, "", "the compiler failed"),
            (24, "", "s of processor time"),
            (6, "memory allocation of 12 bytes failed", "MiB of memory"),
            (11, "", "the compiler failed"),
        ] {
            let reason = explain(ExitStatus::from_raw(raw), message);
            assert!(reason.contains(want), "{reason}");
        }
    }
}
