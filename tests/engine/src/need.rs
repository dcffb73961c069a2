//! What must be there for a `dockerd`, and who got one.

use std::io::Write;
use std::path::Path;

/// Programs, each with the Debian package that has it.
const PROGRAMS: [(&str, &str); 5] = [
    ("dockerd", "docker.io"),
    ("busybox", "busybox-static"),
    ("ip", "iproute2"),
    ("flock", "util-linux"),
    ("setsid", "util-linux"),
];

/// Whether all is there; says what is not.
///
/// # Panics
/// Where something is missing and `FLEET_TEST_ENGINE=required`.
pub(crate) fn all() -> Result<(), ()> {
    let Some(missing) = missing() else {
        return Ok(());
    };
    assert!(
        std::env::var_os("FLEET_TEST_ENGINE").is_none_or(|word| word != "required"),
        "no engine: {missing}"
    );
    eprintln!("skipped: no Docker engine for this test: {missing}");
    Err(())
}

fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can start a dockerd; run the tests as root".to_owned());
    }
    let lacking = PROGRAMS.iter().find(|(program, _)| !on_path(program));
    lacking.map(|(program, package)| {
        format!("there is no `{program}`; to get it: apt-get install {package}")
    })
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where daemons are, whatever the caller's PATH.
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").into(), Path::new("/sbin").into()])
        .any(|folder| folder.join(program).is_file())
}

/// Notes that this test runs against a real engine.
pub(crate) fn note() {
    let Some(file) = std::env::var_os("FLEET_TEST_ENGINE_TALLY") else {
        return;
    };
    let exe = std::env::current_exe().unwrap_or_default();
    let program = exe.file_stem().unwrap_or_default().to_string_lossy();
    let thread = std::thread::current();
    let line = format!("{program} {}\n", thread.name().unwrap_or("main"));
    // One write to a file opened for appending is not mixed with others'.
    let noted = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    noted.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
