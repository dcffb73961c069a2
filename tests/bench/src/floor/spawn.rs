//! A bare loop that starts programs: their output goes to two files each, and nobody looks after
//! them.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;
use crate::process::Owned;
use crate::stopwatch::now;

/// Whether a start is written down before it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// No.
    None,
    /// In a file of its own that is on the disk first.
    Durable,
}

/// Seconds from the first start until the last program was executed.
pub(crate) fn crowd(folder: &Path, command: &[&str], count: usize, record: Record) -> Result<f64> {
    let (program, arguments) = command.split_first().ok_or("no program")?;
    let mut programs = Vec::with_capacity(count);
    let began = now();
    for number in 0..count {
        if record == Record::Durable {
            let mut file = File::create(folder.join(format!("{number}.record")))?;
            writeln!(file, "{number} {command:?}")?;
            file.sync_all()?;
        }
        let output = |name: &str| File::create(folder.join(format!("{number}.{name}")));
        // Returns once the program is executed, or with the reason why it is not.
        let mut start = Command::new(program);
        start
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output("stdout")?)
            .stderr(output("stderr")?);
        programs.push(Owned::spawn(&mut start)?);
    }
    Ok(began.elapsed().as_secs_f64())
}
