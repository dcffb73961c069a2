//! The program a command means, and whether it can be run.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fleet_model::Error;
use rustix::fs::{Access, access};
use sha2::{Digest, Sha256};

use super::launcher::ResolvedProgram;

/// The longest single argument or variable the kernel takes (`MAX_ARG_STRLEN`), with its end byte.
const WORD_BYTES: usize = 128 * 1024;

/// All arguments and variables together: what the kernel takes at its default stack limit.
const TOTAL_BYTES: usize = 2 * 1024 * 1024;

/// Refuses what no program could be given.
pub(crate) fn check_words(command: &[String], env: &BTreeMap<String, String>) -> Result<(), Error> {
    let bad_command = |text: String| Err(Error::invalid("bad-command", text));
    let bad_env = |text: String| Err(Error::invalid("bad-environment", text));
    if command.first().is_none_or(String::is_empty) {
        return bad_command("the command is empty: name a program".into());
    }
    for (place, word) in command.iter().enumerate() {
        if word.contains('\0') {
            return bad_command(format!(
                "word {place} of the command holds a zero byte, which no program can be given"
            ));
        }
        if word.len() >= WORD_BYTES {
            return bad_command(format!(
                "word {place} of the command is {} bytes; at most {} fit: pass it in a file",
                word.len(),
                WORD_BYTES - 1
            ));
        }
    }
    for (name, value) in env {
        let shown: String = name.chars().take(40).collect();
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return bad_env(format!(
                "`{shown}` cannot be set: names must not be empty or hold `=`, and nothing may hold a zero byte"
            ));
        }
        check_size(name, value.len())?;
    }
    let total: usize = command.iter().map(String::len).sum::<usize>()
        + env
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2)
            .sum::<usize>();
    if total > TOTAL_BYTES {
        return bad_env(format!(
            "command and environment are {total} bytes together; at most {TOTAL_BYTES} fit: pass data in files"
        ));
    }
    Ok(())
}

/// Refuses a variable that is too long for the kernel.
pub(crate) fn check_size(name: &str, value_bytes: usize) -> Result<(), Error> {
    let bytes = name.len() + value_bytes + 1;
    if bytes < WORD_BYTES {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    let most = WORD_BYTES - 1;
    Err(Error::invalid(
        "bad-environment",
        format!("`{shown}` is {bytes} bytes; at most {most} fit: pass it in a file"),
    ))
}

/// Finds a program as a shell does: by its path, from `workspace`, or along `search_path`.
pub(crate) fn find(word: &str, search_path: &str, workspace: &Path) -> Result<PathBuf, Error> {
    if word.contains('/') {
        let path = Path::new(word);
        return Ok(workspace.join(path.strip_prefix(".").unwrap_or(path)));
    }
    let mut unfit = None;
    for folder in search_path
        .split(':')
        .map(Path::new)
        .filter(|folder| folder.is_absolute())
    {
        let path = folder.join(word);
        match check_file(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.code == "program-not-executable" => unfit = unfit.or(Some(error)),
            Err(_) => {}
        }
    }
    Err(unfit.unwrap_or_else(|| {
        Error::invalid(
            "program-missing",
            format!("there is no program `{word}` along PATH ({search_path}); install it or give its path"),
        )
    }))
}

/// Whether this is a file that can be run.
pub(crate) fn check_file(path: &Path) -> Result<(), Error> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Err(Error::invalid(
                "program-missing",
                format!(
                    "there is no program `{shown}` on this node; install it or correct the path"
                ),
            ));
        }
        Err(error) => {
            return Err(Error::invalid(
                "program-not-executable",
                format!(
                    "`{shown}` cannot be looked at: {error}; give the host's user access to it"
                ),
            ));
        }
    };
    if metadata.is_dir() {
        return Err(Error::invalid(
            "program-is-directory",
            format!("`{shown}` is a directory, not a program; name the program in it"),
        ));
    }
    if !metadata.is_file() || access(path, Access::EXEC_OK).is_err() {
        return Err(Error::invalid(
            "program-not-executable",
            format!(
                "`{shown}` is not executable; `chmod +x` it, or start its interpreter with it as an argument"
            ),
        ));
    }
    Ok(())
}

/// Whether the content is what the launcher asks for.
pub(crate) fn check_digest(program: &ResolvedProgram) -> Result<(), Error> {
    let Some(wanted) = &program.sha256 else {
        return Ok(());
    };
    let shown = program.path.display();
    let found = digest(&program.path).map_err(|error| {
        Error::invalid(
            "program-not-executable",
            format!("`{shown}` cannot be read to check its sha256: {error}"),
        )
    })?;
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(Error::invalid(
        "program-changed",
        format!(
            "`{shown}` has the sha256 {found}, and the launcher asks for {wanted}; restore the file or change the launcher's `sha256`"
        ),
    ))
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => break,
            count => hash.update(buffer.get(..count).unwrap_or_default()),
        }
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
