//! A virtual environment in the workspace is used, and it is said.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fleet_capability::{Launcher, OutputOptions, Processes, Request, Stream};
use fleet_model::Verb;

use crate::harness::{Host, Run, any, caller, joined, op, request, stdout};

/// What `python3 -m venv .venv` leaves, as far as anybody here looks at it.
fn plant(workspace: &Path) {
    let bin = workspace.join(".venv/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(workspace.join(".venv/pyvenv.cfg"), "").unwrap();
    let program = bin.join("tool-of-the-venv");
    fs::write(
        &program,
        "#!/bin/sh\necho \"venv $VIRTUAL_ENV\"; echo \"path ${PATH%%:*}\"; printenv HOME\n",
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

async fn prepared<'a>(host: &'a Host, launcher: &Launcher, request: Request) -> Run<'a> {
    plant(
        &host
            .processes
            .workspaces()
            .create(request.workload)
            .unwrap(),
    );
    let op = op(&request, Verb::Create);
    let prepared = host
        .processes
        .prepare(&caller(), launcher, &op, request.clone())
        .await
        .unwrap();
    Run {
        host,
        reference: prepared.reference.clone(),
        prepared,
        request,
    }
}

#[tokio::test]
async fn its_programs_are_found_and_it_is_said() {
    let host = Host::new();
    let run = prepared(&host, &any(), request(&["tool-of-the-venv"])).await;
    assert_eq!(run.run().await.code, 0);
    let venv = run.workspace().join(".venv").display().to_string();
    let frames = run.output(OutputOptions::default()).await;
    let said = stdout(&frames);
    assert!(
        said.starts_with(&format!("venv {venv}\npath {venv}/bin\n")),
        "{said}"
    );
    let event = joined(&frames[..1], Stream::Event);
    assert_eq!(event, b"using the virtual environment .venv\n");
    assert_eq!(run.attribute("venv").await, Some(venv));
}

#[tokio::test]
async fn a_workload_that_decided_itself_and_a_fixed_program_are_left_alone() {
    let host = Host::new();
    let script =
        "echo ${VIRTUAL_ENV-none}; case $PATH in *.venv*) echo changed;; *) echo plain;; esac";
    let fixed = Launcher {
        executable: Some("/bin/sh".into()),
        ..Launcher::default()
    };
    for (launcher, env, want) in [
        (any(), Some(("PATH", "/usr/bin:/bin")), "none\nplain\n"),
        (any(), Some(("VIRTUAL_ENV", "/mine")), "/mine\nplain\n"),
        (fixed, None, "none\nplain\n"),
    ] {
        let mut request = request(&["sh", "-c", script]);
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        request.env = BTreeMap::from_iter(env);
        let run = prepared(&host, &launcher, request).await;
        assert_eq!(run.run().await.code, 0);
        let frames = run.output(OutputOptions::default()).await;
        assert_eq!(stdout(&frames), want);
        assert_eq!(joined(&frames, Stream::Event), b"");
        assert_eq!(run.attribute("venv").await, None);
    }
}
